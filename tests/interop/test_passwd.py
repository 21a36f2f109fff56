"""spoke-broker passwd as a process, and mosquitto as the judge of what it writes."""
import fcntl
import os
import pty
import re
import select
import stat
import subprocess
import tempfile
import termios
import unittest

from programs import DEADLINE_SECONDS, Program, binary, free_port, run


def passwd(*words, stdin=""):
    return run([binary("spoke-broker"), "passwd", *words], stdin=stdin)


class PasswdTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.users = self.path("users")
        self.scram = self.path("scram.users")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def does(self, *words, stdin="open sesame\n"):
        done = passwd(*words, stdin=stdin)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", ""))

    def fails(self, error, *words, stdin="open sesame\n"):
        done = passwd(*words, stdin=stdin)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, error)
        self.assertEqual(done.stdout, "")


class Files(PasswdTest):
    def test_both_files_at_once(self):
        self.does("--password-file", self.users, "--scram", self.scram, "bob")
        self.assertRegex(self.read("users"), r"\Abob:\$7\$20000\$[\w+/]{16}\$[\w+/]{86}==\n\Z")
        self.assertRegex(self.read("scram.users"), r"\Abob:SCRAM-SHA-256\$10000:[\w+/]{22}=="
                                                   r"\$[\w+/]{43}=:[\w+/]{43}=\n\Z")
        for file in self.users, self.scram:
            self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        self.assertEqual(sorted(os.listdir(self.folder)), ["scram.users", "users"])

    def test_other_lines_and_the_mode_stay(self):
        self.does("--password-file", self.users, "amy")
        amy = self.read("users")
        self.write("users", "# ours\n\n" + amy)
        os.chmod(self.users, 0o640)
        self.does("--password-file", self.users, "bob")
        bob = self.read("users").splitlines()[-1]
        self.does("--password-file", self.users, "bob", stdin="another")
        self.assertTrue(self.read("users").startswith("# ours\n\n" + amy + "bob:"))
        self.assertNotIn(bob, self.read("users"))
        self.does("--password-file", self.users, "-D", "bob", stdin="")
        self.assertEqual(self.read("users"), "# ours\n\n" + amy)
        self.assertEqual(stat.S_IMODE(os.stat(self.users).st_mode), 0o640)

    def test_the_same_password_never_looks_the_same(self):
        self.does("--password-file", self.users, "--scram", self.scram, "amy")
        self.does("--password-file", self.users, "--scram", self.scram, "bob")
        for name in "users", "scram.users":
            amy, bob = (line.split(":", 1)[1] for line in self.read(name).splitlines())
            self.assertNotEqual(amy, bob)

    def test_costs(self):
        self.does("--password-file", self.users, "--scram", self.scram, "--iterations", 4096, "bob")
        self.assertIn("$7$4096$", self.read("users"))
        self.assertIn("SHA-256$4096:", self.read("scram.users"))
        self.does("--password-file", self.users, "--argon2id", "bob")
        self.assertRegex(self.read("users"), r"\Abob:\$argon2id\$v=19\$m=19456,t=2,p=1\$")

    def test_standard_input(self):
        for stdin in "pw", "pw\n", "p w\n":
            self.does("--password-file", self.users, "--password-stdin", "bob", stdin=stdin)
        self.fails("there is no password", "--password-file", self.users, "amy", stdin="")
        self.fails("there is no password", "--password-file", self.users, "amy", stdin="\n")
        self.fails("more than one line", "--password-file", self.users, "amy", stdin="a\nb\n")
        self.does("--password-file", self.users, "amy", stdin="x" * 65535)
        self.fails("longer than 65535 bytes", "--password-file", self.users, "amy",
                   stdin="x" * 65536)


class Errors(PasswdTest):
    def test_command_line(self):
        self.fails("name a file with --scram or --password-file", "bob")
        self.fails("USER is required|user is required", "--scram", self.scram)
        self.fails("not expected.*--help", "--scram", self.scram, "bob", "open sesame")
        self.fails("--argon2id is for a --password-file", "--scram", self.scram, "--argon2id", "b")
        self.fails("--iterations means nothing to argon2id", "--password-file", self.users,
                   "--argon2id", "--iterations", 5000, "bob")
        for number in "4095", "5000001", "many":
            self.fails("--iterations", "--scram", self.scram, "--iterations", number, "bob")
        self.assertEqual(os.listdir(self.folder), [])

    def test_names(self):
        for name in "", "a:b", "#b", " b", "a\nb":
            self.fails("cannot be a user name", "--scram", self.scram, "--", name)
        self.fails("SCRAM cannot take this user name", "--scram", self.scram, "\N{BICYCLE}")
        self.fails("SCRAM cannot take this password", "--scram", self.scram, "bob",
                   stdin="\N{BICYCLE}")
        self.assertEqual(os.listdir(self.folder), [])
        self.does("--password-file", self.users, "\N{BICYCLE}")

    def test_nothing_is_changed_by_halves(self):
        self.write("scram.users", "# mine\nnonsense\n")
        self.fails(re.escape(f"{self.scram}:2: no ':' behind the user name"), "--password-file",
                   self.users, "--scram", self.scram, "bob")
        self.assertEqual(os.listdir(self.folder), ["scram.users"])
        self.assertEqual(self.read("scram.users"), "# mine\nnonsense\n")

    def test_deletion(self):
        self.fails("users: is not there", "--password-file", self.users, "-D", "bob")
        self.does("--password-file", self.users, "amy")
        before = self.read("users")
        self.fails("has no user 'bob'", "--password-file", self.users, "-D", "bob")
        self.assertEqual(self.read("users"), before)

    def test_files_that_cannot_be_written(self):
        self.fails("No such file or directory", "--scram", self.path("none/f"), "bob")
        self.fails("is not a regular file", "--scram", self.folder, "bob")

    def test_help(self):
        done = passwd("--help")
        self.assertEqual(done.returncode, 0)
        for word in "--scram", "--password-file", "--iterations", "--argon2id", "USER":
            self.assertIn(word, done.stdout)
        self.assertIn("spoke-broker passwd --help", run([binary("spoke-broker"), "--help"]).stdout)


class Terminal(PasswdTest):
    """At a terminal the password is asked for twice, and not shown."""

    def asked(self, *answers):
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        program = subprocess.Popen(
            [binary("spoke-broker"), "passwd", "--password-file", self.users, "bob"],
            stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(terminal)
        self.addCleanup(program.kill)
        shown = b""
        for prompt, answer in zip((b"Password: ", b"The same again: "), answers):
            shown += self.read_until(master, prompt)
            os.write(master, answer)
        shown += self.read_until(master, None)
        return program.wait(timeout=DEADLINE_SECONDS), shown.decode()

    def read_until(self, master, mark):
        data = b""
        while mark is None or mark not in data:
            self.assertTrue(select.select([master], [], [], DEADLINE_SECONDS)[0], data)
            try:
                more = os.read(master, 4096)
            except OSError:  # how Linux says that the other end is closed
                more = b""
            if not more:
                self.assertIsNone(mark, data)
                break
            data += more
        return data

    def test_twice_the_same(self):
        code, shown = self.asked(b"secret\n", b"secret\n")
        self.assertEqual(code, 0, shown)
        self.assertNotIn("secret", shown)
        self.assertTrue(self.read("users").startswith("bob:$7$"))

    def test_not_the_same(self):
        code, shown = self.asked(b"secret\n", b"secrat\n")
        self.assertEqual(code, 1)
        self.assertIn("the two are not the same", shown)
        self.assertEqual(os.listdir(self.folder), [])

    def test_interrupted(self):
        code, shown = self.asked(b"\x03")
        self.assertEqual(code, 1)
        self.assertIn("interrupted", shown)
        self.assertEqual(os.listdir(self.folder), [])


class Mosquitto(PasswdTest):
    """Both manage the same file."""

    def serves(self, user, password):
        port = free_port()
        self.write("mosquitto.conf", f"listener {port} 127.0.0.1\nallow_anonymous false\n"
                                     f"password_file {self.users}\nuser root\n")
        with Program(["mosquitto", "-c", self.path("mosquitto.conf"), "-v"]) as broker:
            broker.await_line(r"mosquitto version \S+ running")
            return run(["mosquitto_pub", "-p", port, "-u", user, "-P", password, "-t", "t", "-m",
                        "x", "-q", 1]).returncode == 0

    def test_it_takes_our_file(self):
        self.does("--password-file", self.users, "bob")
        self.assertTrue(self.serves("bob", "open sesame"))
        self.assertFalse(self.serves("bob", "close sesame"))

    def test_we_change_its_file_and_it_changes_ours(self):
        self.assertEqual(run(["mosquitto_passwd", "-c", "-b", self.users, "amy", "pw"]).returncode,
                         0)
        self.does("--password-file", self.users, "bob")
        self.assertEqual(run(["mosquitto_passwd", "-D", self.users, "amy"]).returncode, 0)
        self.assertRegex(self.read("users"), r"\Abob:\$7\$20000\$\S+\n\Z")
        self.does("--password-file", self.users, "-D", "bob", stdin="")
        self.assertEqual(self.read("users"), "")


if __name__ == "__main__":
    unittest.main()
