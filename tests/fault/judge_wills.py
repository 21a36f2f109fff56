"""Which wills must, may and must not be published, and when: they join the timeline as messages."""
import math

from timeline import Message

TOLERANCE_SECONDS = 1.0


class Connection:
    """One that asked for a will, or just one: what became of it."""

    def __init__(self, event):
        self.asked = event
        self.will = event["will"]
        self.accepted_at = None
        self.present = False
        self.end = math.inf
        self.how = None  # cut, kill, disconnect (which deletes the will), disconnect with will
        self.next = None

    @property
    def delay(self):
        return min(self.will["delay"], self.asked["expiry"])


class WillJudge:
    def __init__(self, timeline, verdict):
        self._timeline = timeline
        self._verdict = verdict
        self._tolerance = TOLERANCE_SECONDS + timeline.lag
        self._last = {}  # client -> its connection
        self._all = []
        for event in timeline.events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)
        for connection in self._all:
            if connection.will:
                self._decide(connection)

    def _on_connect(self, event):
        connection = Connection(event)
        if (last := self._last.get(event["c"])) is not None:
            last.next = connection
        self._last[event["c"]] = connection
        self._all.append(connection)

    def _on_connack(self, event):
        connection = self._last[event["c"]]
        if event["code"] == 0:
            connection.accepted_at, connection.present = event["t"], event["present"]

    def _end(self, event, how):
        connection = self._last.get(event["c"])
        if connection is not None and connection.how is None:
            connection.end, connection.how = event["t"], how

    def _on_disconnect(self, event):
        self._end(event, "disconnect with will" if event["code"] == 4 else "disconnect")

    def _on_cut(self, event):
        self._end(event, "cut")

    def _on_lost(self, event):
        self._end(event, "kill")  # the broker closes nothing that was not left before

    _HANDLERS = {"connect": _on_connect, "connack": _on_connack, "disconnect": _on_disconnect,
                 "cut": _on_cut, "lost": _on_lost}

    # --- deciding ---

    def _decide(self, connection):
        message = Message({**connection.will, "t": connection.asked["t"]})
        self._timeline.messages[message.name] = message
        if connection.how is None:
            message.is_forbidden = connection.accepted_at is not None
            return
        if connection.accepted_at is None:
            return  # the broker may or may not have seen it
        if connection.how == "disconnect":
            message.is_forbidden = self._is_settled(connection.end)
            return
        low, high, is_kept = self._closing(connection)
        self._decide_delayed(message, connection, low, high, is_kept)

    def _is_settled(self, time):
        """Whether what was so at that time was on disk when the broker was killed next."""
        kill = next((kill for kill in self._timeline.kills if kill.at >= time), None)
        return kill is None or kill.has_settled(time)

    def _closing(self, connection):
        """(from when the delay counts at the earliest, at the latest, whether the will is kept)."""
        end = connection.end
        kill = next((kill for kill in self._timeline.kills if kill.at >= end), None)
        is_durable = connection.asked["expiry"] > 0
        if connection.how == "kill":
            was_stored = not connection.present or kill.has_settled(connection.accepted_at)
            return end, kill.restart, is_durable and was_stored
        if kill is None or kill.has_settled(end):
            return end, end, True
        return end, kill.restart, is_durable and kill.has_settled(connection.accepted_at)

    def _decide_delayed(self, message, connection, low, high, is_kept):
        message.first_sent = low + connection.delay - self._tolerance if connection.delay else low
        latest = high + connection.delay + self._tolerance
        following = connection.next
        if connection.delay and following is not None and following.asked["t"] < latest:
            self._decide_followed(message, following, low + connection.delay)
        elif is_kept and not self._timeline.may_fail(connection.end, latest):
            message.acked_at = latest

    def _decide_followed(self, message, following, due):
        """The client has come back before, or at about, the time."""
        if following.asked["clean"]:
            message.first_sent = min(message.first_sent, following.asked["t"])
            return
        is_in_time = (following.accepted_at is not None
                      and following.accepted_at < due - self._tolerance)
        message.is_forbidden = is_in_time and self._is_settled(following.accepted_at)
