"""Certificates for the tests, made by the openssl command."""
import os

from programs import run


class Authority:
    """Signs what it is asked to, in `folder`."""

    def __init__(self, folder, name):
        self._folder = folder
        self._name = name
        self.certificate = self._path(f"{name}.crt")
        self._openssl("req", "-x509", *self._new_key(name), "-out", self.certificate, "-days", 2,
                      "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self._path(f"{name}.key")]

    @staticmethod
    def _openssl(*words):
        done = run(["openssl", *words])
        if done.returncode != 0:
            raise AssertionError(f"openssl: {done.stderr}")

    def sign(self, name, alternative=None):
        """(certificate, key) for the common name `name`."""
        certificate, request = self._path(f"{name}.crt"), self._path(f"{name}.csr")
        self._openssl("req", *self._new_key(name), "-out", request, "-subj", f"/CN={name}")
        extensions = self._path(f"{name}.ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternative}\n" if alternative else "")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
                      self._path(f"{self._name}.key"), "-CAcreateserial", "-days", 2, "-extfile",
                      extensions, "-out", certificate)
        return certificate, self._path(f"{name}.key")
