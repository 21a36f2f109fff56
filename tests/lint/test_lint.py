"""The rules find what they are for, and leave sound code alone."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import awaits
import includes
import text_rules
from source import Source


def findings(check, files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                file.write(text)
        if check is text_rules.check:
            return check(root, sorted(files))
        return check([Source(root, name) for name in sorted(files)])


def await_findings(statement):
    return findings(awaits.check, {"bridge/a.cpp": "void f() {\n    " + statement + "\n}\n"})


class Awaits(unittest.TestCase):
    def test_unsound(self):
        for statement in ["co_await f(Agg{p});",
                          "co_await f([p] { g(p); });",
                          "auto a = Agg{co_await g()};",
                          "auto n = (co_await make_agg()).n;",
                          "(co_await link())->close();",
                          "co_await co_spawn(ex, [p]() -> awaitable<void> { co_return; }, token);",
                          "if (co_await f({1, 2})) {\n        g();\n    }",
                          "return {co_await g()};",
                          "auto g = [self]() -> awaitable<void> { co_await h(); };"]:
            with self.subTest(statement):
                self.assertNotEqual(await_findings(statement), [])

    def test_sound(self):
        for statement in ["co_await f(p);",
                          "Agg a = co_await f();",
                          "auto [ec, size] = co_await stream.async_read_some(buffer, kNoThrow);",
                          "auto& [ec, size] = result;",
                          "for (;;) {\n        if (co_await f(x[1])) {\n            g();\n        }\n    }",
                          "if (co_await f()) {\n        g({1});\n    }",
                          "auto g = []() -> awaitable<void> { co_await h(); };",
                          "// co_await f(Agg{p});",
                          "co_await (read_loop(self) || write_loop(self));",
                          "co_return co_await f(std::move(p));"]:
            with self.subTest(statement):
                self.assertEqual(await_findings(statement), [])


class Includes(unittest.TestCase):
    def check(self, name, line, *others):
        files = {name: line + "\n", **{other: '#include "%s"\n' % other for other in others}}
        return findings(includes.check, files)

    def test_refused(self):
        base = "protocol/base/time.hpp"
        core = "broker/core/session.hpp"
        self.assertTrue(self.check("protocol/base/a.cpp", f'#include "{core}"', core))
        self.assertTrue(self.check("bridge/api/a.cpp", f'#include "{core}"', core))
        self.assertTrue(self.check("broker/core/a.cpp", "#include <boost/asio/ip/tcp.hpp>"))
        self.assertTrue(self.check("broker/core/a.cpp", "#include <thread>"))
        self.assertTrue(self.check("broker/net/a.cpp", "#include <sqlite3.h>"))
        self.assertTrue(self.check("broker/net/a.cpp", "#include <boost/beast/http.hpp>"))
        self.assertTrue(self.check("broker/net/a.cpp", '#include "time.hpp"', base))
        self.assertTrue(self.check("broker/core/a.cpp", "auto t = std::chrono::steady_clock::now();"))

    def test_allowed(self):
        core = "broker/core/session.hpp"
        self.assertEqual(self.check("broker/net/a.cpp", f'#include "{core}"', core), [])
        self.assertEqual(self.check("broker/net/a.cpp", "#include <boost/asio/ip/tcp.hpp>"), [])
        self.assertEqual(self.check("broker/net/websocket_upgrade.cpp",
                                    "#include <boost/beast/http.hpp>"), [])
        self.assertEqual(self.check("tests/unit/a.cpp", f'#include "{core}"', core), [])

    def test_dead_header(self):
        found = findings(includes.check, {"bridge/api/dead.hpp": "#pragma once\n"})
        self.assertEqual(len(found), 1)


class Text(unittest.TestCase):
    def test_waits_and_unfinished_work(self):
        wait = "std::this_thread::sleep_for(1s);\n"
        self.assertEqual(len(findings(text_rules.check, {"tests/unit/a.cpp": wait})), 1)
        self.assertEqual(findings(text_rules.check, {"device-sim/a.cpp": wait}), [])
        self.assertEqual(len(findings(text_rules.check, {"broker/a.cpp": "// TO" "DO: more\n"})), 1)
        self.assertEqual(len(findings(text_rules.check, {"broker/a.cpp": ""})), 1)


class Functions(unittest.TestCase):
    def test_lengths(self):
        text = "namespace a {\n\nint f(int x,\n      int y) {\n    return x;\n}\n\n}  // namespace a\n"
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, "a.cpp"), "w", encoding="utf-8") as file:
                file.write(text)
            self.assertEqual([(name, length) for name, _, length in
                              Source(root, "a.cpp").functions()], [("f", 3)])


if __name__ == "__main__":
    unittest.main()
