"""A judged play of spoke-sim, `city` or `watch`, with a broker and a bridge of its own."""
import json
import os
import subprocess
import tempfile
import xml.etree.ElementTree

from programs import DEADLINE_SECONDS, binary

PASS, FAIL, INVALID = 0, 1, 3

BROKER = '[persistence]\ndirectory = "{0}/store"\n'
BRIDGE = '[store]\npath = "{0}/bridge.db"\n' \
         '[broker]\nreconnect_delay_min = "10 ms"\nreconnect_delay_max = "200 ms"\n'


class Play:
    """Started at once. `broker` and `bridge` are configurations in which {0} stands for its folder."""

    def __init__(self, mode, *options, broker=BROKER, bridge=BRIDGE):
        self._folder = tempfile.TemporaryDirectory(prefix=f"spoke-{mode}-")
        folder = self._folder.name
        for name, text in (("broker", broker), ("bridge", bridge)):
            with open(os.path.join(folder, name + ".toml"), "w", encoding="utf-8") as file:
                file.write(text.format(folder))
        self.summary = os.path.join(folder, "summary.json")
        self.junit = os.path.join(folder, "junit.xml")
        self.failed = None  # names of the test cases in that file that failed
        command = [binary("spoke-sim"), mode, "--port", "0", "--http-port", "0", "--logs", folder,
                   "--summary", self.summary, "--junit", self.junit,
                   "--start-broker", f"{binary('spoke-broker')} -c {folder}/broker.toml -p {{mqtt}}",
                   "--start-bridge", f"{binary('spoke-bridge')} -c {folder}/bridge.toml -p {{http}} "
                                     "--broker 127.0.0.1:{mqtt}",
                   "--seed", "7", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def result(self):
        """(exit code, summary, output) once it is over."""
        try:
            output, _ = self.process.communicate(timeout=4 * DEADLINE_SECONDS)
            with open(self.summary, encoding="utf-8") as file:
                summary = json.load(file)
            cases = xml.etree.ElementTree.parse(self.junit).getroot().findall("testcase")
            self.failed = [case.get("name") for case in cases if case.find("failure") is not None]
            return self.process.returncode, summary, output[-6000:]
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._folder.cleanup()


def complaint(mode, *options):
    """What spoke-sim says of a command line that makes no sense; None if it accepts it."""
    done = subprocess.run([binary("spoke-sim"), mode, *options], capture_output=True, text=True,
                          timeout=DEADLINE_SECONDS, check=False)
    return done.stdout + done.stderr if done.returncode == 2 else None
