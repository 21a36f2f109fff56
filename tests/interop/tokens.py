"""JSON Web Tokens for the tests: by Python's hmac, and by the openssl command."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_for(subject, scope, **more):
    return {"sub": subject, "scope": scope, "exp": int(time.time()) + 600, **more}


def signed_text(header, claims):
    return b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())


def hs256(secret, claims):
    text = signed_text({"alg": "HS256", "typ": "JWT"}, claims)
    return text + "." + b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def openssl(*words, data=b""):
    done = subprocess.run(["openssl", *words], input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl: {done.stderr.decode()}")
    return done.stdout


class Signer:
    """An RSA or EC key pair made by openssl, its JWK, and tokens signed with it."""

    def __init__(self, folder, algorithm):
        self.algorithm = algorithm
        self.key_id = algorithm.lower()
        self._key = os.path.join(folder, f"{self.key_id}.pem")
        kind = (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "RS256"
                else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("genpkey", "-algorithm", *kind, "-out", self._key)

    def public_pem(self):
        return openssl("pkey", "-in", self._key, "-pubout").decode()

    def jwk(self):
        common = {"kid": self.key_id, "alg": self.algorithm, "use": "sig"}
        if self.algorithm == "RS256":
            modulus = openssl("rsa", "-in", self._key, "-modulus", "-noout").decode()
            number = bytes.fromhex(modulus.strip().removeprefix("Modulus="))
            return {"kty": "RSA", "n": b64(number), "e": "AQAB", **common}
        point = openssl("pkey", "-in", self._key, "-pubout", "-outform", "DER")[-64:]
        return {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:]), **common}

    def token(self, claims):
        text = signed_text({"alg": self.algorithm, "kid": self.key_id}, claims)
        signature = openssl("dgst", "-sha256", "-sign", self._key, data=text.encode())
        return text + "." + b64(self._raw(signature))

    def _raw(self, signature):
        """An ECDSA signature as JWS has it: r and s, 32 bytes each, instead of DER."""
        if self.algorithm == "RS256":
            return signature
        r_size = signature[3]
        r = signature[4:4 + r_size]
        s = signature[6 + r_size:6 + r_size + signature[5 + r_size]]
        return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (r, s))
