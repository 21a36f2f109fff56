"""What the judges need to know of a history as a whole: kills and what was on disk by then, and the
life of every message."""
import math

# A client sees its connection closed, or closes it, before the broker has dealt with that; what
# was so at some moment counts as done if a later request by anybody, begun this much later, was
# acknowledged as durable.
SETTLING_SECONDS = 0.3

# So long after the disk works again the store may take for trying it.
REOPENING_SECONDS = 3


class Kill:
    """The end of a broker process. Changes made before `settled_until` were on disk."""

    def __init__(self, at, settled_until):
        self.at = at
        self.settled_until = settled_until
        self.restart = math.inf  # when the broker listened again

    def has_settled(self, time):
        return time < self.settled_until


class Message:
    """A publish, or a will: `first_sent` is then the earliest time it may be published."""

    def __init__(self, event):
        self.name = event["m"]
        publisher, _, number = self.name.rpartition(".")
        self.publisher, self.number = publisher, int(number)
        self.topic, self.qos, self.retain = event["topic"], event["qos"], event["retain"]
        self.expiry = event.get("expiry")
        self.is_empty = event.get("empty", False)
        self.first_sent = event["t"]
        self.acked_at = None        # a will: the latest time, if it must be published
        self.accepted_by = math.inf  # if it was accepted at all, then not later
        self.is_forbidden = False   # a will that must not be published


class Timeline:
    def __init__(self, events):
        self.events = events
        self.kills = []
        self.messages = {}
        self.disk_failures = []  # (from, until) when the store may have taken nothing
        self.lag = 0.0  # the longest time for which the clients got no processor
        self._expiry = {}     # client -> session expiry of its connection
        self._sent_at = {}    # (client, message) -> when, if not DUP, on the open connection
        self._unanswered = {}  # client -> messages sent on the open connection, unacknowledged
        self._durable_until = -math.inf
        for event in events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)

    def kills_between(self, begin, end):
        return [kill for kill in self.kills if begin <= kill.at < end]

    def may_fail(self, begin, end):
        """Whether the store may have taken nothing at some time in between."""
        return any(begin <= until and since <= end for since, until in self.disk_failures)

    def _on_disk(self, event):
        if event["refuses"]:
            self.disk_failures.append((event["t"], math.inf))
        elif self.disk_failures:
            since, _ = self.disk_failures[-1]
            self.disk_failures[-1] = since, event["t"] + REOPENING_SECONDS

    def _on_start(self, event):
        for kill in self.kills:
            kill.restart = min(kill.restart, event["t"])

    def _on_kill(self, event):
        until = event["t"] if event.get("settled") else self._durable_until - SETTLING_SECONDS
        self.kills.append(Kill(event["t"], until))
        for client in list(self._unanswered):
            self._on_end({"c": client, "t": event["t"]})

    def _on_lag(self, event):
        self.lag = max(self.lag, event["seconds"])

    def _on_connect(self, event):
        self._expiry[event["c"]] = event["expiry"]
        self._unanswered[event["c"]] = {}

    def _on_end(self, event):
        for message in self._unanswered.pop(event["c"], {}).values():
            message.accepted_by = event["t"]

    def _on_publish(self, event):
        client, name = event["c"], event["m"]
        if name not in self.messages:
            self.messages[name] = Message(event)
        message = self.messages[name]
        message.accepted_by = math.inf
        self._unanswered.setdefault(client, {})[name] = message
        if event["qos"] == 2 and not event["dup"] and self._expiry.get(client):
            self._sent_at[client, name] = event["t"]

    def _on_ack(self, event):
        client, name = event["c"], event["m"]
        if event["code"] >= 0x80:
            return
        message = self.messages[name]
        if message.acked_at is None:
            message.acked_at = message.accepted_by = event["t"]
        self._unanswered.get(client, {}).pop(name, None)
        if (sent_at := self._sent_at.pop((client, name), None)) is not None:
            self._durable_until = max(self._durable_until, sent_at)

    _HANDLERS = {"start": _on_start, "disk": _on_disk, "kill": _on_kill, "lag": _on_lag,
                 "connect": _on_connect, "lost": _on_end, "cut": _on_end, "publish": _on_publish, "ack": _on_ack}
