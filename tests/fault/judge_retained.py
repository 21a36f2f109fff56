"""Whether each look at the retained messages finds what their writers left there."""
import collections
import math

TOLERANCE_SECONDS = 1.0
NOTHING = None


class Topic:
    """A topic with one writer: the value that was acknowledged, or seen after a start, and later
    writes which have no acknowledgement yet, in order of sending."""

    def __init__(self):
        self.base = NOTHING
        self.open = []


class RetainedJudge:
    def __init__(self, timeline, verdict):
        self._timeline = timeline
        self._verdict = verdict
        self._tolerance = TOLERANCE_SECONDS + timeline.lag
        self._topics = collections.defaultdict(Topic)
        self._empty = set()  # messages that clear
        self._topic_of = {}  # message -> its topic
        for event in timeline.events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)

    def _on_publish(self, event):
        if not event["retain"]:
            return
        topic = self._topics[event["topic"]]
        self._topic_of[event["m"]] = topic
        if event["empty"]:
            self._empty.add(event["m"])
        if event["m"] not in topic.open and not event["dup"]:
            topic.open.append(event["m"])

    def _on_ack(self, event):
        topic = self._topic_of.get(event["m"])
        if topic is None or event["m"] not in topic.open or event["code"] >= 0x80:
            return
        # Writes before it are older than it on disk too, with or without an acknowledgement.
        topic.open = topic.open[topic.open.index(event["m"]) + 1:]
        topic.base = event["m"]

    def _on_retained(self, event):
        for name in set(self._topics) | {n for n in event["found"] if n.startswith("r/")}:
            topic = self._topics[name]
            found = event["found"].get(name)
            allowed = self._values(topic, event)
            if found not in allowed:
                self._verdict.add("retained", f"{name} at {event['t']:.3f}: {found}, not one of "
                                  f"{sorted(allowed, key=str)}")
        self._look_at_wills(event)

    def _values(self, topic, event):
        allowed = set()
        for message in [topic.base, *topic.open]:
            if message is NOTHING or message in self._empty:
                allowed.add(NOTHING)
            else:
                allowed |= self._lifetime(self._timeline.messages[message], event)
        return allowed

    def _lifetime(self, message, event):
        """What a look at it finds: itself, nothing once it has expired, or either."""
        if message.expiry is None:
            return {message.name}
        found = set()
        if event["begin"] < message.accepted_by + message.expiry + self._tolerance:
            found.add(message.name)
        if event["t"] > message.first_sent + message.expiry - self._tolerance:
            found.add(NOTHING)
        return found

    def _look_at_wills(self, event):
        """Any will that may be the last one published to the topic."""
        wills = collections.defaultdict(list)
        for message in self._timeline.messages.values():
            if message.topic.startswith("w/") and message.retain and not message.is_forbidden:
                wills[message.topic].append(message)
        for name in set(wills) | {n for n in event["found"] if n.startswith("w/")}:
            sure = [m for m in wills[name] if m.acked_at is not None and m.acked_at < event["begin"]]
            since = max((m.first_sent for m in sure), default=-math.inf)
            allowed = {m.name for m in wills[name]
                       if m.first_sent <= event["t"] and (m.acked_at or math.inf) >= since}
            if not sure:
                allowed.add(NOTHING)
            if (found := event["found"].get(name)) not in allowed:
                self._verdict.add("retained", f"{name} at {event['t']:.3f}: {found}, not one of "
                                  f"{sorted(allowed, key=str)}")

    _HANDLERS = {"publish": _on_publish, "ack": _on_ack, "retained": _on_retained}
