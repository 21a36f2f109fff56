"""Whether each CONNACK says of the session what can be so."""
import collections
import math

from packets import EXPIRY_NEVER

TOLERANCE_SECONDS = 1.0

# A session as it may be. `low` and `high`: when it was left, at the earliest and the latest; None
# while it is connected.
State = collections.namedtuple("State", "exists expiry low high")
ABSENT = State(False, 0, None, None)


def connected(expiry):
    return State(True, expiry, None, None)


def left(state, low, high):
    """The same session once its connection has ended at some time between these."""
    if not state.exists or state.low is not None:
        return state
    return State(True, state.expiry, low, high)


def end_of(state, bound):
    """When a session that was left ends."""
    return math.inf if state.expiry == EXPIRY_NEVER else bound + state.expiry


class SessionJudge:
    """Follows what each client's session may be, now and on disk."""

    def __init__(self, timeline, verdict):
        self._timeline = timeline
        self._verdict = verdict
        self._kills = {kill.at: kill for kill in timeline.kills}
        self._tolerance = TOLERANCE_SECONDS + timeline.lag
        self._now = collections.defaultdict(lambda: {ABSENT})
        self._changes = collections.defaultdict(list)  # client -> [(t, states)] maybe not on disk
        self._asked = {}  # client -> its CONNECT without an answer
        for event in timeline.events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)

    def _change(self, client, time, states):
        if not self._changes[client]:
            self._changes[client].append((-math.inf, self._now[client]))
        self._now[client] = states
        self._changes[client].append((time, states))

    def _settle(self, client):
        self._changes[client].clear()

    def _on_connect(self, event):
        self._asked[event["c"]] = event
        # It may take over at any moment from now on.
        self._change(event["c"], event["t"], self._now[event["c"]] | {connected(event["expiry"])})

    def _on_connack(self, event):
        client, asked = event["c"], self._asked.pop(event["c"])
        before = self._now[client] - {connected(asked["expiry"])}
        if event["code"] != 0:
            if not self._timeline.may_fail(asked["t"], event["t"]):
                self._verdict.add("acks", f"{client}: CONNACK {event['code']:#x} "
                                  f"at {event['t']:.3f}")
            # What was to begin anew may have ended already.
            self._change(client, event["t"], before | ({ABSENT} if asked["clean"] else set()))
            return
        may_be = {answer for state in before or {ABSENT}
                  for answer in self._answers(state, asked, event["t"])}
        if asked["clean"]:
            may_be = {False}
        if event["present"] not in may_be:
            self._verdict.add("sessions", f"{client}: CONNACK at {event['t']:.3f} says session "
                              f"present = {event['present']}; it was {before}")
        self._change(client, event["t"], {connected(asked["expiry"])})
        if not event["present"] and asked["expiry"]:
            self._settle(client)

    def _answers(self, state, asked, answered_at):
        if not state.exists:
            return {False}
        if state.low is None:  # an earlier CONNECT without an answer, or a takeover
            return {True, False} if state.expiry == 0 else {True}
        answers = set()
        if asked["t"] < end_of(state, state.high) + self._tolerance:
            answers.add(True)
        if answered_at > end_of(state, state.low) - self._tolerance:
            answers.add(False)
        return answers

    def _on_disconnect(self, event):
        client = event["c"]
        changed = {state._replace(expiry=event["expiry"])
                   if event["expiry"] is not None and state.exists else state
                   for state in self._now[client]}
        self._leave(client, event["t"], changed)

    def _on_cut(self, event):
        client = event["c"]
        self._asked.pop(client, None)
        if any(state.exists and state.low is None for state in self._now[client]):
            self._leave(client, event["t"], self._now[client])

    def _on_lost(self, event):
        """The broker has closed: what ends with the connection has ended."""
        self._on_cut(event)
        client = event["c"]
        if any(state.exists and state.expiry == 0 for state in self._now[client]):
            self._change(client, event["t"], {state if state.expiry else ABSENT
                                              for state in self._now[client]})

    def _leave(self, client, time, states):
        self._change(client, time, {left(state, time, time) for state in states})

    def _on_suback(self, event):
        client = event["c"]
        if event["code"] < 0x80 and all(state.expiry for state in self._now[client]):
            self._settle(client)

    def _on_kill(self, event):
        kill = self._kills[event["t"]]
        for client, now in list(self._now.items()):
            possible = set(now)
            for number, (_, states) in enumerate(self._changes[client]):
                # Replaced by a change that is on disk.
                following = self._changes[client][number + 1:number + 2]
                if not (following and kill.has_settled(following[0][0])):
                    possible |= states
            self._now[client] = {self._after(state, kill) for state in possible}
            self._settle(client)
        self._asked.clear()

    @staticmethod
    def _after(state, kill):
        if not state.exists or state.expiry == 0:
            return ABSENT
        if state.low is None:
            return State(True, state.expiry, kill.at, kill.restart)
        return state

    _HANDLERS = {"connect": _on_connect, "connack": _on_connack, "disconnect": _on_disconnect,
                 "lost": _on_lost, "cut": _on_cut, "suback": _on_suback, "kill": _on_kill}
