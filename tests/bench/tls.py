#!/usr/bin/env python3
"""Measures TLS on our broker and Debian's mosquitto side by side and prints a Markdown table.

As `./dev bench compare`, but over TLS 1.3: both have the same certificate (ECDSA on P-256), made for the
run, and the ciphers and groups that OpenSSL chooses by itself. A handshake's figure is the broker's CPU
from accepting the connection to CONNACK.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import brokers
import compare
from compare import CPU, Work

MESSAGE = "broker_cpu_us_per_message"
CONNECT = "broker_cpu_us_per_connect"
WORKS = (
    Work("p2p-qos0", f"TLS p2p 50 pairs QoS 0, window 50, {CPU}",
         ("p2p", "--tls", "--pairs", "50", "--qos", "0", "--window", "50"), MESSAGE, "us", 0.8),
    Work("p2p-qos1", f"TLS p2p 50 pairs QoS 1, window 50, {CPU}",
         ("p2p", "--tls", "--pairs", "50", "--qos", "1", "--window", "50"), MESSAGE, "us", 0.8),
    Work("p2p-qos1-window1", f"TLS p2p 50 pairs QoS 1, window 1, {CPU}",
         ("p2p", "--tls", "--pairs", "50", "--qos", "1", "--window", "1"), MESSAGE, "us", 0.8),
    Work("fanout-window1", f"TLS fan-out 1 to 1000 QoS 0, window 1, {CPU}",
         ("fanout", "--tls", "--subscribers", "1000", "--qos", "0", "--window", "1"), MESSAGE, "us",
         0.8),
    Work("handshake", "TLS handshake, full, CPU per connect",
         ("conn", "--tls", "--connections", "5000"), CONNECT, "us", 0.8),
    Work("resumption", "TLS handshake, resumed, CPU per connect",
         ("conn", "--tls", "--tls-resume", "--connections", "5000"), CONNECT, "us", 0.8),
    Work("idle", "RSS per idle TLS connection, 5000 of them",
         ("conn", "--tls", "--connections", "5000"), "rss_per_connection", "bytes", 0.7),
)

OURS_TLS = """\
[[listener]]
tls_certificate = "{folder}/certificate.pem"
tls_key = "{folder}/key.pem"
"""
MOSQUITTO_TLS = """\
certfile {folder}/certificate.pem
keyfile {folder}/key.pem
"""


class OursTls(brokers.Ours):
    """spoke-broker with a certificate."""

    def __init__(self, path, certificate_folder):
        super().__init__(path)
        self.certificate_folder = certificate_folder

    def command(self, folder, port):
        command = super().command(folder, port)
        with open(os.path.join(folder, "spoke-broker.toml"), "a", encoding="utf-8") as file:
            file.write(OURS_TLS.format(folder=self.certificate_folder))
        return command


class MosquittoTls(brokers.Mosquitto):
    """mosquitto with a certificate."""

    def __init__(self, certificate_folder):
        super().__init__()
        self.certificate_folder = certificate_folder

    def command(self, folder, port):
        command = super().command(folder, port)
        with open(os.path.join(folder, "mosquitto.conf"), "a", encoding="utf-8") as file:
            file.write(MOSQUITTO_TLS.format(folder=self.certificate_folder))
        return command


def make_certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "90", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", os.path.join(folder, "key.pem"), "-out", os.path.join(folder, "certificate.pem")],
        check=True, capture_output=True)
    os.chmod(folder, 0o755)  # mosquitto gives up root before it reads
    os.chmod(os.path.join(folder, "key.pem"), 0o644)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    compare.add_options(parser, WORKS)
    return compare.completed(parser.parse_args(arguments))


def main():
    options = parse(sys.argv[1:])
    brokers.stop_on_signals()
    folder = tempfile.mkdtemp(prefix="spoke-bench-tls-")
    try:
        make_certificate(folder)
        sides = [MosquittoTls(folder)]
        if not options.mosquitto_only:
            path = options.spoke_broker or brokers.program("spoke-broker", options.build)
            sides.insert(0, OursTls(path, folder))
        return compare.compare(options, WORKS, sides)
    except (brokers.BenchError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
