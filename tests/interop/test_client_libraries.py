"""Test programs written with a client library: Paho MQTT C++ and MQTT.js.

Each brings cases of its own, which run.py adds to its count.
"""
import os
import re
import subprocess
import unittest

from programs import Broker, binary

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 300
cases_passed = 0  # read by run.py


def outcome(command, folder, port):
    # Paho's C library leaks a little when it is asked to disconnect.
    environment = {**os.environ, "SPOKE_PORT": str(port), "LSAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(command, cwd=folder, env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX, check=False)
    return done.returncode, done.stdout


class ClientLibraries(unittest.TestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.kill)

    def check(self, command, folder, passed_pattern):
        global cases_passed
        code, output = outcome(command, folder, self.broker.port)
        self.assertEqual(code, 0, output)
        passed = re.search(passed_pattern, output, re.MULTILINE)
        self.assertIsNotNone(passed, output)
        cases_passed += int(passed[1])
        self.assertEqual(self.broker.stop(), 0, self.broker.output())

    def test_paho_cpp(self):
        self.check([binary("interop_paho")], HERE, r"^All tests passed \(.* in (\d+) test cases\)")

    def test_mqttjs(self):
        self.check(["node", "--test"], os.path.join(HERE, "mqttjs"), r"^# pass ([1-9]\d*)$")
