"""What the records of spoke-bridge say after kill -9, and what its audit commands say of them."""
import hashlib
import json
import os
import random
import re
import sqlite3
import subprocess
import tempfile
import threading
import unittest

from programs import Bikes, Bridge, Broker, Reply, Subscriber, binary, publish, run

STORE_SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bridge",
                             "store")
RECEIPTS = """
    [receipts]
    publishers = ["client:spoke-bridge"]
"""
SETTLED = {"succeeded", "failed", "rejected", "expired", "cancelled", "superseded", "abandoned"}


class KillableBridge(Bridge):
    """One whose requests may end without an answer."""

    def try_order(self, device, body, *options):
        """The reply, or None if there was none."""
        done = run(["curl", "-sS", "-i", "--max-time", "30", f"{self.url}/v1/devices/{device}/commands",
                    *options, "--json", json.dumps(body)])
        return Reply(done.stdout) if done.returncode == 0 else None


class Orders:
    """Sends orders until the bridge is gone, and keeps what it was told of each."""

    def __init__(self, bridge, tag):
        self.bridge = bridge
        self.tag = tag
        self.asked = {}  # key: (device, body)
        self.told = {}   # key: last reply
        self.counter = 0
        self.lock = threading.Lock()

    def one(self, device, *options, **members):
        with self.lock:
            self.counter += 1
            key = f"{self.tag}-{self.counter}"
        body = {"do": "unlock", "ttl_ms": 3000, **members}
        self.asked[key] = (device, body)
        reply = self.bridge.try_order(device, body, "-H", f'Idempotency-Key: "{key}"', *options)
        if reply is not None:
            self.told[key] = reply
        return reply is not None

    def until_it_is_gone(self, device, most):
        for number in range(most):
            wait = ("-H", "Prefer: wait=10") if number % 3 else ()
            if not self.one(device, *wait, do="ring" if number % 2 else "unlock"):
                return


class Killed(unittest.TestCase):
    """Each test kills a bridge while orders are on their way, and starts it again."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(more=RECEIPTS)
        cls.addClassCleanup(cls.broker.kill)
        cls.bikes = Bikes(cls.broker.port, 3)
        cls.addClassCleanup(cls.bikes.kill)
        publish(cls.broker.port, "d/away/up", '{"on":true,"boot":1,"up":1}', "-r", qos=1)
        publish(cls.broker.port, "d/away/up", '{"on":false,"boot":1}', "-r", qos=1)

    def start(self, store, fault=None):
        environment = {"SPOKE_FAULT": fault} if fault else None
        bridge = KillableBridge(self.broker.port, store=store, environment=environment)
        self.addCleanup(bridge.kill)
        bridge.ready()
        bridge.knows("t1", "t2", "t3")
        return bridge

    def kill_while_orders_run(self, fault, orders_of_each=40):
        folder = tempfile.TemporaryDirectory(prefix="spoke-killed-")
        self.addCleanup(folder.cleanup)
        store = os.path.join(folder.name, "bridge.db")
        watcher = Subscriber(self.broker.port, "d/+/cmd")
        self.addCleanup(watcher.kill)
        bridge = self.start(store, fault)
        orders = Orders(bridge, fault)
        # It waits for a device that stays away: this one never leaves.
        orders.one("away", if_offline="wait", ttl_ms=86_400_000, ref="waits")
        threads = [threading.Thread(target=orders.until_it_is_gone, args=(bike, orders_of_each))
                   for bike in ("t1", "t2", "t3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            end = bridge.wait()
        except subprocess.TimeoutExpired:
            end = None
            bridge.kill()  # the next one needs its session
        self.assertEqual(end, -9, f"{fault} was not passed\n{bridge.output()[-2000:]}")
        again = self.start(store)
        try:
            self.judge(again, orders, watcher)
        finally:
            self.assertEqual(again.stop(), 0)
        self.check_file(store)

    def judge(self, bridge, orders, watcher):
        for key, (device, body) in orders.asked.items():
            told = orders.told.get(key)
            with self.subTest(key=key, told=told and told.body):
                if told is not None and told.status >= 400:
                    continue
                # The same key again gives the same order, or, if nothing was made, a new one.
                same = bridge.order(device, body, "-H", f'Idempotency-Key: "{key}"')
                if told is None and same.status >= 400:
                    continue
                self.assertIn(same.status, (200, 202), same.body)
                if told is not None:
                    self.assertEqual(same.body["id"], told.body["id"])
                self.judge_one(bridge, told and told.body, same.body["id"], body)
        publish(self.broker.port, "d/end/cmd", "{}", qos=1)
        watcher.await_line("^MSG d/end/cmd")
        sent = [json.loads(line.split(" ", 4)[4])["id"] for line in watcher.lines()
                if line.startswith("MSG d/t")]
        self.assertEqual(len(sent), len(set(sent)), "an order was sent twice")

    def judge_one(self, bridge, told, identity, body):
        if told and told["settled"]:
            shown = bridge.curl(f"/v1/commands/{identity}").body
            self.assertEqual((shown["state"], shown["timeline"]), (told["state"], told["timeline"]))
            return
        if body.get("ref") == "waits":
            shown = bridge.curl(f"/v1/commands/{identity}").body
            self.assertEqual(shown["state"], "queued")
            return
        shown = bridge.curl(f"/v1/commands/{identity}?wait=4").body
        if shown["state"] == "unknown":
            # Stored as one that may leave, and killed before it did: what the device says after the
            # deadline shows it, and it says so when something happens in another lane.
            other = "ring" if shown["lane"] == "lock" else "unlock"
            bridge.order(shown["device"], {"do": other, "ref": f"after-{identity}"}, "-H",
                         "Prefer: wait=30")
            shown = bridge.curl(f"/v1/commands/{identity}?wait=30").body
        self.assertIn(shown["state"], SETTLED, shown)
        states = [step["state"] for step in shown["timeline"]]
        if shown["state"] == "expired":
            self.assertFalse({"sent", "delivered", "running", "unknown"} & set(states), shown)

    def check_file(self, store):
        done = run([binary("spoke-bridge"), "audit", "verify", "--store", store])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as file:
            for identity, timeline in file.execute("SELECT id, timeline FROM commands"):
                lines = file.execute("SELECT what, who FROM audit WHERE subject = ? ORDER BY number",
                                     (identity,)).fetchall()
                arrows = [(f"command.{arrow['state']}", arrow["by"])
                          for arrow in json.loads(timeline)]
                self.assertEqual(lines, arrows, identity)
        file.close()

    def points(self):
        found = subprocess.run(["grep", "-rhoE", r'SPOKE_FAULT_POINT\("[^"]+', STORE_SOURCES,
                                "--include=*.cpp"], capture_output=True, text=True, check=True).stdout
        names = {line.split('"')[1] for line in found.splitlines()}
        # The others are passed seldom or at the start; the unit tests of the store kill there.
        seldom = ("store-retention", "store-check", "store-migrate", "store-class", "store-forget",
                  "store-inbox", "store-remove", "store-position", "store-arrivals",
                  "store-extend")
        return sorted(name for name in names
                      if not name.startswith(seldom) and name != "store-device")

    def test_killed_at_each_point_of_a_write(self):
        seed = int(os.environ.get("SPOKE_SEED", "5"))
        points = self.points()
        self.assertGreaterEqual(len(points), 7)
        for point in points:
            passage = 2 + random.Random(f"{seed}{point}").randrange(30)
            with self.subTest(point=point, passage=passage, seed=seed):
                self.kill_while_orders_run(f"{point}:{passage}")


class Refused(unittest.TestCase):
    def test_while_nothing_can_be_written_orders_are_refused_and_ends_wait(self):
        broker = Broker(more=RECEIPTS)
        self.addCleanup(broker.kill)
        folder = tempfile.TemporaryDirectory(prefix="spoke-held-")
        self.addCleanup(folder.cleanup)
        store = os.path.join(folder.name, "bridge.db")
        bridge = Bridge(broker.port, store=store)
        self.addCleanup(bridge.kill)
        bridge.ready()
        bikes = Bikes(broker.port, 1, "--mute", "1.0")
        self.addCleanup(bikes.kill)
        bridge.knows("t1")
        under_way = bridge.order("t1", {"do": "unlock", "ref": "first", "ttl_ms": 2000}).body["id"]
        bridge.await_line("t1 unlock: sent")

        # Somebody else writes and does not come to an end.
        holder = sqlite3.connect(store, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("BEGIN IMMEDIATE")
        refused = bridge.order("t1", {"do": "ring", "ref": "second"})
        bridge.await_line("cannot be written: database is locked")
        for reply in (refused, bridge.order("t1", {"do": "ring", "ref": "third"})):
            self.assertEqual((reply.status, reply.body["type"], reply.body["sent"]),
                             (503, "/problems/log-full", False), reply.body)
            self.assertIn("retry-after", reply.headers)
        shown = bridge.curl(f"/v1/commands/{under_way}?wait=4")
        self.assertEqual(shown.status, 200)  # reads go on
        holder.execute("ROLLBACK")

        bridge.await_line("can be written again")
        shown = bridge.curl(f"/v1/commands/{under_way}").body
        self.assertEqual(bridge.order("t1", {"do": "ring", "ref": "fourth"}).status, 202)
        self.assertEqual(bridge.stop(), 0)
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as file:
            rows = file.execute("SELECT ref, state FROM commands ORDER BY id").fetchall()
        file.close()
        self.assertEqual([ref for ref, _ in rows], ["first", "fourth"])
        self.assertEqual(rows[0][1], "unknown")


class Audit(unittest.TestCase):
    """The commands on the trail of a bridge that runs."""

    def audit(self, *words):
        return run([binary("spoke-bridge"), "audit", *words])

    def test_the_trail_of_a_bridge(self):
        broker = Broker()
        self.addCleanup(broker.kill)
        folder = tempfile.TemporaryDirectory(prefix="spoke-audit-")
        self.addCleanup(folder.cleanup)
        store = os.path.join(folder.name, "bridge.db")
        bridge = Bridge(broker.port, store=store)
        self.addCleanup(bridge.kill)
        bridge.ready()
        bikes = Bikes(broker.port, 1)
        self.addCleanup(bikes.kill)
        bridge.knows("t1")
        for number in range(5):
            reply = bridge.order("t1", {"do": "ring", "ref": f"r{number}"}, "-H", "Prefer: wait=30")
            self.assertEqual(reply.body["state"], "succeeded")

        verified = self.audit("verify", "--store", store)
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        number, head = verified.stdout.splitlines()[1].split()[1:]
        self.assertEqual(verified.stdout.splitlines()[0],
                         f"{number} lines are as they were, from line 1 on")
        shown = [json.loads(line) for line in self.audit("show", "--store", store).stdout.splitlines()]
        self.assertEqual((shown[-1]["number"], shown[-1]["hash"]), (int(number), head))
        of_one = self.audit("show", "--store", store, "--subject", reply.body["id"]).stdout
        self.assertEqual([json.loads(line)["what"] for line in of_one.splitlines()],
                         [f"command.{step['state']}" for step in reply.body["timeline"]])
        few = self.audit("show", "--store", store, "--what", "command.succeeded", "--limit", "2")
        self.assertEqual(len(few.stdout.splitlines()), 2)

        self.run_the_queries_of_the_document(store)
        # By hand, as SCHEMA.md tells it.
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as file:
            chain = bytes(32)
            for row in file.execute("SELECT number, at, hash, who, address, what, device, subject, "
                                    "why, trace, detail FROM audit ORDER BY number"):
                texts = [text.encode() for text in row[3:]]
                data = chain + row[0].to_bytes(8, "big") + row[1].to_bytes(8, "big", signed=True)
                data += b"".join(len(text).to_bytes(4, "big") + text for text in texts)
                chain = hashlib.sha256(data).digest()
                self.assertEqual(chain, row[2])
        file.close()
        self.assertEqual(bridge.stop(), 0)
        self.assertEqual(self.audit("verify", "--store", store, "--head", head).returncode, 0)
        self.spoil(store, head)

    def run_the_queries_of_the_document(self, store):
        with open(os.path.join(STORE_SOURCES, "SCHEMA.md"), encoding="utf-8") as file:
            queries = re.findall(r'^\$db "([^"]+)"', file.read(), re.MULTILINE)
        self.assertGreaterEqual(len(queries), 6)
        file = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        for query in queries:
            file.execute(query).fetchall()
        file.close()

    def spoil(self, store, head):
        with sqlite3.connect(store) as file:
            file.execute("DROP TRIGGER audit_update")
            file.execute("UPDATE audit SET who = 'nobody' WHERE number = 3")
        file.close()
        bad = self.audit("verify", "--store", store)
        self.assertEqual(bad.returncode, 1)
        self.assertEqual(bad.stdout.splitlines()[0],
                         "line 3 does not have the hash that is stored with it")
        self.assertEqual(self.audit("verify", "--store", store, "--from", "4").returncode, 0)
        self.assertEqual(self.audit("verify", "--store", store, "--from", "4", "--head",
                                    "0" * 64).returncode, 1)
        self.assertEqual(self.audit("verify", "--store", store, "--from", "4", "--head",
                                    head).returncode, 0)

    def test_what_cannot_be_read_is_told_in_one_line(self):
        for words, part in ((("verify", "--store", "/nowhere/x.db"), "/nowhere/x.db does not exist"),
                            (("verify", "--head", "12", "--store", "x"), "--head"),
                            (("show", "--since", "yesterday", "--store", "x"), "--since yesterday"),
                            (("show", "--colour", "red"), "--colour"), ((), "subcommand")):
            with self.subTest(words):
                done = self.audit(*words)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_two_bridges_on_one_store(self):
        broker = Broker()
        self.addCleanup(broker.kill)
        folder = tempfile.TemporaryDirectory(prefix="spoke-lock-")
        self.addCleanup(folder.cleanup)
        store = os.path.join(folder.name, "bridge.db")
        bridge = Bridge(broker.port, store=store)
        self.addCleanup(bridge.kill)
        second = run([binary("spoke-bridge"), "--listen", "127.0.0.1:0", "--store", store])
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"{store} is in use by another spoke-bridge, process {bridge.process.pid}",
                      second.stderr)
        bridge.kill()


if __name__ == "__main__":
    unittest.main()
