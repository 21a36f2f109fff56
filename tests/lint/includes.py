"""Who may include what. Dependencies point one way; see the code map in README.md."""
import fnmatch
import re

PROTOCOL = ["protocol/base", "protocol/packet", "protocol/topic", "protocol/codec"]
CLIENT = PROTOCOL + ["protocol/client", "protocol/link", "protocol/options"]
CORE = PROTOCOL + ["broker/core"]

# Folder -> the folders it may include from, next to itself and its own subfolders.
MAY_USE = {
    "protocol/base": [],
    "protocol/options": ["protocol/base"],
    "protocol/packet": ["protocol/base"],
    "protocol/topic": ["protocol/base"],
    "protocol/codec": PROTOCOL,
    "protocol/client": PROTOCOL,
    "protocol/link": PROTOCOL + ["protocol/client"],
    "broker/core": PROTOCOL,
    "broker/net": CORE,
    "broker/storage": CORE,
    "broker/cluster": CORE,
    "broker/auth": CORE,
    "broker/metrics": CORE,
    "broker/config": ["protocol/base", "protocol/options", "protocol/topic"],
    "broker/app": CLIENT + ["broker"],
    "bridge": CLIENT + ["bridge"],
    "device-sim": CLIENT + ["device-sim"],
}

# Header (pattern) -> the folders, or single files, that own the library. Tests may use anything.
OWNED = {
    "boost/asio*": ["protocol/link", "broker/net", "bridge", "device-sim"],
    "boost/beast*": ["protocol/link", "broker/net/websocket_upgrade.cpp", "bridge", "device-sim"],
    "openssl/*": ["protocol/link", "broker/net", "broker/auth", "bridge/access", "bridge/store",
                  "bridge/api", "device-sim"],
    "argon2.h": ["broker/auth"],
    "rocksdb/*": ["broker/storage"],
    "sqlite3*": ["bridge/store"],
    "nats/*": ["broker/cluster"],
    "toml++/*": ["protocol/options"],
    "CLI/*": ["protocol/options", "broker/app", "bridge/app", "device-sim/app",
              "device-sim/load"],
    "spdlog/*": ["protocol/link", "broker/net", "broker/storage", "broker/cluster", "broker/app",
                 "bridge", "device-sim"],
}

# Folders that get bytes and time as arguments: no sockets, clocks, threads, files.
PURE = ["protocol/base", "protocol/packet", "protocol/topic", "protocol/codec", "protocol/client",
        "broker/core", "bridge/access", "bridge/command", "device-sim/device", "device-sim/faults",
        "device-sim/judge"]
IMPURE_HEADERS = ["thread", "future", "condition_variable", "fstream", "filesystem", "iostream",
                  "sys/*", "unistd.h", "poll.h", "netinet/*", "arpa/*", "fcntl.h", "signal.h",
                  "csignal"]
# iovec is plain data: what the core hands to whoever writes to a socket.
PLAIN_DATA_HEADERS = ["sys/uio.h"]
CLOCK = re.compile(r"\bread_clocks\s*\(|_clock::now\s*\(|\brandom_device\b")
# The one definition of the function that reads the clocks.
CLOCK_HOME = "protocol/base/time.hpp"


def inside(name, folders):
    return any(name == folder or name.startswith(folder + "/") for folder in folders)


def folder_rule(name):
    """The most specific folder of MAY_USE that holds `name`."""
    homes = [folder for folder in MAY_USE if name.startswith(folder + "/")]
    return max(homes, key=len, default=None)


def check_project_include(source, line, path, files):
    if path not in files:
        return [f"{source.name}:{line}: \"{path}\" is no file of this project; "
                "write paths from the project's root"]
    home = folder_rule(source.name)
    if home and not inside(path, [home, *MAY_USE[home]]):
        return [f"{source.name}:{line}: {home} may not include {path}"]
    return []


def check_library_include(source, line, path):
    found = []
    for pattern, owners in OWNED.items():
        if fnmatch.fnmatch(path, pattern) and not inside(source.name, owners + ["tests"]):
            found.append(f"{source.name}:{line}: <{path}> belongs to {', '.join(owners)}")
    impure = any(fnmatch.fnmatch(path, p) for p in IMPURE_HEADERS)
    if inside(source.name, PURE) and impure and path not in PLAIN_DATA_HEADERS:
        found.append(f"{source.name}:{line}: <{path}> in a folder without I/O, clocks and threads")
    return found


def check(sources):
    files = {source.name for source in sources}
    found, included = [], set()
    for source in sources:
        for line, is_library, path in source.includes():
            if is_library:
                found += check_library_include(source, line, path)
            else:
                included.add(path)
                found += check_project_include(source, line, path, files)
        if inside(source.name, PURE) and source.name != CLOCK_HOME:
            for match in CLOCK.finditer(source.code):
                found.append(f"{source.name}:{source.line_of(match.start())}: "
                             "time and randomness come in as arguments here")
    for name in sorted(files - included):
        if name.endswith(".hpp"):
            found.append(f"{name}: dead file, nothing includes it")
    return found
