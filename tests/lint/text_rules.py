"""Rules about any text file: waits in tests, words of unfinished work, large and empty files."""
import os
import re

SLEEP = re.compile(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\s*\(|"
                   r"(?<![\w.])sleep\s*\(|\btime\.sleep\b|\bsetTimeout\b")
NO_SLEEP_IN = ("tests/unit/", "tests/conformance/", "tests/interop/", "tests/browser/")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
TESTING_IFDEF = re.compile(r"#\s*if.*\bTEST(ING)?\b")
BYTES_MAX = 300_000
TEXT = (".cpp", ".hpp", ".py", ".js", ".mjs", ".ts", ".sh", ".txt", ".md", ".json", ".toml")
OWN_FOLDER = "tests/lint/"


def check_lines(name, text):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if UNFINISHED.search(line):
            found.append(f"{name}:{number}: a word of unfinished work")
        if name.startswith(NO_SLEEP_IN) and SLEEP.search(line):
            found.append(f"{name}:{number}: a test waits for time; let it await the event")
        if TESTING_IFDEF.search(line):
            found.append(f"{name}:{number}: code that differs under test")
    return found


def check(root, names):
    found = []
    for name in names:
        path = os.path.join(root, name)
        size = os.path.getsize(path)
        if size > BYTES_MAX:
            found.append(f"{name}: {size} bytes are too large for the repository")
        if size == 0:
            found.append(f"{name}: dead file, empty")
        if name.endswith(TEXT) and not name.startswith(OWN_FOLDER):
            with open(path, encoding="utf-8") as file:
                found += check_lines(name, file.read())
    return found
