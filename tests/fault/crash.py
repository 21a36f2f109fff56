#!/usr/bin/env python3
"""The crash test: kills the broker again and again in the middle of traffic, and judges.

A run has one data directory and one cast of clients, and lives through some kills. At its end
everything is drained, and the judge looks at the history. The last line is the summary; the exit
code is 0 only if nothing in it is wrong. Each run prints the command that repeats it. The folder of
a run that failed is kept: data, broker.log, history.jsonl, findings.txt.
"""
import argparse
import asyncio
import collections
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import broker as broker_module
import judge
from actors import cast
from client import Client, Habits, make_payload
from history import History

CYCLES_PER_RUN = 20
QUIET_SECONDS = 0.15
BARRIER_SECONDS_MAX = 60
POINT_SECONDS_MAX = 1.5
DISK_FAULTS = ["write ENOSPC", "write,name ENOSPC", "write EIO", "sync EIO", "name ENOSPC",
               "write,sync,name EROFS", "read EIO"]


class World:
    """What the clients of a run share."""

    def __init__(self, seed):
        self.seed = seed
        self.history = History()
        self.up = asyncio.Event()
        self.draining = asyncio.Event()
        self.port = None

    def rng_of(self, name):
        return random.Random(f"{self.seed} {name}")


class Plan:
    """How each cycle ends: SIGKILL, or a fault point and at which passage of it.

    How often a point is passed in a cycle shows as it goes.
    """

    def __init__(self, points):
        self._waiting = collections.deque(points)
        self._passages_max = dict.fromkeys(points, 64)

    def next(self, rng):
        """(point, passage); the point is None for a SIGKILL."""
        if not self._waiting or rng.random() < 0.4:
            return None, 0
        point = self._waiting[0]
        self._waiting.rotate(-1)
        return point, rng.randint(1, self._passages_max[point])

    def reached(self, point):
        self._passages_max[point] = min(512, 2 * self._passages_max[point])

    def not_reached(self, point, passage):
        if passage == 1 and point in self._waiting:
            self._waiting.remove(point)  # nothing here leads there
        self._passages_max[point] = max(1, passage // 4)


class Run:
    def __init__(self, options, seed, cycles, folder):
        self.seed = seed
        self.kills = collections.Counter()
        self._options = options
        self._cycles = cycles
        self._rng = random.Random(f"{seed} run")
        self._world = World(seed)
        self._broker = broker_module.Broker(options.program, folder, sync=options.sync,
                                            queue_window=self._rng.choice([2, 8, 128]))
        self._faults = os.path.join(folder, "faults")
        self._plan = options.plan
        self._actors = cast(self._world)
        self._lives = []
        self._looks = 0

    @property
    def history(self):
        return self._world.history

    async def play(self):
        lag = asyncio.create_task(self._watch_lag())
        try:
            for _ in range(self._cycles):
                await self._cycle()
            await self._drain()
        finally:
            lag.cancel()
            for life in self._lives:
                life.cancel()
            if self._broker.port is not None:
                await self._broker.end(signal.SIGKILL)
            self._broker.close()

    async def _watch_lag(self):
        """Records when this process gets no time, which the judge has to allow for."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            if (lag := time.monotonic() - before - 0.05) > 0.1:
                self.history.record("lag", seconds=lag)

    # --- a cycle ---

    async def _cycle(self):
        point, passage = self._plan.next(self._rng)
        if await self._start(point, passage):
            await self._look_at_retained()
            self._let_in()
            await self._traffic(point, passage)
        await self._kill(point)

    def _environment(self, point=None, passage=0):
        environment = {}
        if point:
            environment["SPOKE_FAULT"] = f"{point}:{passage}"
        if self._options.power_loss:
            environment["SPOKE_POWER_LOSS"] = str(self._rng.randrange(1 << 32))
        if self._options.disk_faults:
            environment["SPOKE_DISK_FAULTS"] = self._faults
        return environment

    async def _start(self, point=None, passage=0):
        if not await self._broker.start(self._environment(point, passage)):
            if point is None or not self._broker.was_killed:
                raise SystemExit("the broker does not start: see broker.log")
            return False
        self._world.port = self._broker.port
        self.history.record("start")
        return True

    def _let_in(self):
        self._world.up.set()
        if not self._lives:
            self._lives = [asyncio.create_task(actor.live()) for actor in self._actors]

    async def _traffic(self, point, passage):
        trouble = asyncio.create_task(self._trouble())
        if point is None:
            seconds = self._rng.uniform(0.05, 3.0 if self._options.disk_faults else 1.0)
            await self._broker.ended(seconds)
        elif await self._broker.ended(3 * POINT_SECONDS_MAX if self._options.disk_faults
                                      else POINT_SECONDS_MAX):
            self._plan.reached(point)
        else:
            self._plan.not_reached(point, passage)
        trouble.cancel()

    async def _trouble(self):
        """A disk that refuses this and that, now and then."""
        while self._options.disk_faults:
            await asyncio.sleep(self._rng.uniform(0.05, 1.0))
            self._refuse(self._rng.choice(DISK_FAULTS))
            await asyncio.sleep(self._rng.uniform(0.0, 0.6))
            self._refuse("")

    def _refuse(self, line):
        with open(self._faults + ".new", "w", encoding="ascii") as file:
            file.write(line)
        os.replace(self._faults + ".new", self._faults)
        self.history.record("disk", refuses=line)

    async def _kill(self, point):
        is_by_point = await self._broker.ended(0.001)
        await self._broker.end(signal.SIGKILL)
        if is_by_point and not self._broker.was_killed:
            raise SystemExit("the broker ended by itself: see broker.log")
        self.kills[point if is_by_point else "SIGKILL"] += 1
        self._world.up.clear()
        await self._all_lost()
        self.history.record("kill", how=point if is_by_point else "SIGKILL")
        if self._options.disk_faults:
            self._refuse("")

    async def _all_lost(self):
        """Until every client has read what the broker still said to it."""
        links = [actor.client.link for actor in self._actors if actor.client.is_connected]
        await asyncio.gather(*(link.closed for link in links))

    # --- the end of a run ---

    async def _drain(self):
        await self._start()
        await self._look_at_retained()
        self._world.draining.set()
        self._let_in()
        for life in self._lives:
            await life
        done = await asyncio.gather(*(actor.drain() for actor in self._actors))
        for actor, is_done in zip(self._actors, done):
            if not is_done:
                self.history.record("silent", c=actor.name, what="drain")
        await self._pass_barriers()
        self.history.record("drain")
        await self._restart_in_peace()
        await self._look_at_retained()

    async def _pass_barriers(self):
        """A last message for each subscriber, which comes after all that waits for it."""
        receivers = [actor for actor in self._actors if hasattr(actor, "barrier_topic")]
        sender = Client(self._world, "barrier", 4, Habits.good(self._rng))
        await sender.connect(clean=True)
        awaited = []
        for number, actor in enumerate(receivers):
            message = f"barrier.{number}"
            awaited.append(actor.client.await_message(message))
            sender.publish({"m": message, "topic": actor.barrier_topic, "qos": 1, "retain": False,
                            "payload": make_payload(message, 0), "expiry": None})
        _, late = await asyncio.wait(awaited, timeout=BARRIER_SECONDS_MAX)
        for actor, future in zip(receivers, awaited):
            if future in late:
                self.history.record("silent", c=actor.name, what="barrier")
        await self._quiet(*(actor.client for actor in self._actors))
        await sender.disconnect()

    async def _quiet(self, *clients):
        """Until nothing has come for a while."""
        before = -1
        while before != (now := sum(client.packets_heard for client in clients)):
            before = now
            await asyncio.sleep(QUIET_SECONDS)

    async def _restart_in_peace(self):
        """Sessions and what they hold must outlive SIGTERM as well."""
        self._world.up.clear()
        code = await self._broker.end(signal.SIGTERM)
        if code != 0:
            self.history.record("silent", what=f"SIGTERM: exit code {code}")
        await self._all_lost()
        self.history.record("kill", how="SIGTERM", settled=True)
        await self._start()
        receivers = [actor for actor in self._actors if hasattr(actor, "barrier_topic")]
        for actor in receivers:
            await actor.return_for_good()
        await self._quiet(*(actor.client for actor in receivers))

    async def _look_at_retained(self):
        self._looks += 1
        looker = Client(self._world, f"look{self._looks}", 4, Habits.good(self._rng))
        await looker.connect(clean=True)
        begin = time.monotonic()
        first = len(self.history.events)
        for topic_filter in ("r/#", "w/#"):
            await looker.subscribe(topic_filter, 0)
        await self._quiet(looker)
        if not looker.is_connected:
            return  # a fault point: what it saw may not be all
        looker.cut()
        found = {event["topic"]: event["m"] for event in self.history.events[first:]
                 if event["kind"] == "receive" and event["c"] == looker.name and event["retain"]}
        self.history.record("retained", begin=begin, found=found)


def play(options, seed, cycles):
    folder = tempfile.mkdtemp(prefix="spoke-crash-", dir=options.folder)
    begin = time.monotonic()

    async def body():
        run = Run(options, seed, cycles, folder)
        error = None
        try:
            await run.play()
        except SystemExit as why:
            error = str(why)
        return run, error

    run, error = asyncio.run(body())
    verdict = judge.judge(run.history.events)
    verdict.kills = run.kills
    if error:
        verdict.add("broken", error)
    words = " ".join(verdict.words())
    print(f"run --seed {seed} --cycles {cycles}: {words} ({time.monotonic() - begin:.1f} s)",
          flush=True)
    if verdict.is_clean and not options.keep:
        shutil.rmtree(folder)
    else:
        run.history.save(os.path.join(folder, "history.jsonl"))
        with open(os.path.join(folder, "findings.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in verdict.findings)
        for line in verdict.findings[:options.show]:
            print(f"  {line}")
        print(f"  kept: {folder}", flush=True)
    return verdict


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="./dev crash", description=__doc__)
    parser.add_argument("count", nargs="?", metavar="cycles", type=int, help="kills in all (20)")
    parser.add_argument("--cycles", type=int, default=20, help="the same")
    parser.add_argument("--bin", required=True, help="folder with the programs")
    parser.add_argument("--seed", type=int, help="of the first run; those after it count up")
    parser.add_argument("--per-run", type=int, default=CYCLES_PER_RUN,
                        help=f"kills between two judgements ({CYCLES_PER_RUN})")
    parser.add_argument("--points", help="only these fault points, with commas; none: SIGKILL only")
    parser.add_argument("--power-loss", action="store_true",
                        help="what was not synced is lost with the process")
    parser.add_argument("--disk-faults", action="store_true",
                        help="the disk is full, fails or is read-only now and then, too")
    parser.add_argument("--sync", default="always", help="as in [persistence] (always)")
    parser.add_argument("--folder", help="where the folders of the runs are made (TMPDIR)")
    parser.add_argument("--keep", action="store_true", help="keep the folders of good runs too")
    parser.add_argument("--show", type=int, default=10, help="findings to print for a run (10)")
    options = parser.parse_args(arguments)
    options.cycles = options.count or options.cycles
    needs_disk = options.power_loss or options.disk_faults
    name = "spoke-broker-fault" if needs_disk else "spoke-broker"
    options.program = os.path.abspath(os.path.join(options.bin, name))
    known = broker_module.fault_points()
    if options.points is None:
        options.points = known
    else:
        options.points = [p for p in options.points.split(",") if p not in ("", "none")]
        if unknown := set(options.points) - set(known):
            parser.error(f"no such fault points: {', '.join(sorted(unknown))}; "
                         f"there are {', '.join(known)}")
    options.plan = Plan(options.points)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    return options


def main(arguments=None):
    options = options_of(arguments)
    # It warns of each write to a broker that has just been killed.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    print(f"seed {options.seed}", flush=True)
    total = judge.Verdict()
    left, seed = options.cycles, options.seed
    while left > 0:
        cycles = min(left, options.per_run)
        total += play(options, seed, cycles)
        left -= cycles
        seed += 1
    print(f"{options.cycles} cycles{', power loss' if options.power_loss else ''}"
          f"{', disk faults' if options.disk_faults else ''}: " + " ".join(total.words()))
    return 0 if total.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
