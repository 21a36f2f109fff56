"""Whether each durable subscriber got what it had to get, once, in order, in time, and no more."""
import collections
import math

from packets import V5
from subscriptions import NO, YES, Subscriptions, matches, without_share

TOLERANCE_SECONDS = 1.0
LONG_EXPIRY = 60  # seconds: a message that lives at least so long is there until a run is over

# A group with members whose sessions end: what they leave goes to others, out of order.
MORTAL_GROUPS = {"h"}


def group_of(message):
    """The share group whose members get messages on this topic; None if every subscriber does."""
    name = message.topic.split("/")[0]
    return name if name in ("g", "h") else None


class Incarnation:
    """One session of a client: from a CONNACK without session present to the next."""

    def __init__(self, begin):
        self.begin = begin
        self.subscriptions = Subscriptions()
        self.got = {}  # message -> its first delivery


class Receiver:
    def __init__(self):
        self.version = None
        self.incarnations = []
        self.doubles = collections.Counter()   # QoS 2 message -> deliveries as new
        self.replays = collections.Counter()   # the same of retained messages
        self.subscribes = []                   # filters, as often as subscribed to


class DeliveryJudge:
    def __init__(self, timeline, verdict):
        self._timeline = timeline
        self._verdict = verdict
        self._tolerance = TOLERANCE_SECONDS + timeline.lag
        self._receivers = collections.defaultdict(Receiver)
        self._has_drained = False
        for event in timeline.events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)
        self._judge_all()

    # --- reading the history ---

    def _on_connect(self, event):
        self._receivers[event["c"]].version = event["v"]

    def _on_connack(self, event):
        receiver = self._receivers[event["c"]]
        if event["code"] == 0 and (not event["present"] or not receiver.incarnations):
            receiver.incarnations.append(Incarnation(event["t"]))

    def _filter(self, event):
        return self._receivers[event["c"]].incarnations[-1].subscriptions.of(event["filter"])

    def _on_subscribe(self, event):
        self._receivers[event["c"]].subscribes.append(event["filter"])
        self._filter(event).asked(event["t"], event["qos"])

    def _on_suback(self, event):
        if event["code"] < 0x80:
            self._filter(event).granted(event["t"], event["code"])
        elif not self._timeline.may_fail(event["t"], event["t"]):
            self._verdict.add("acks", f"{event['c']}: SUBACK {event['code']:#x} for "
                              f"{event['filter']} at {event['t']:.3f}")

    def _on_unsubscribe(self, event):
        self._filter(event).leaving(event["t"])

    def _on_unsuback(self, event):
        if event["code"] < 0x80:
            self._filter(event).left(event["t"])
        elif not self._timeline.may_fail(event["t"], event["t"]):
            self._verdict.add("acks", f"{event['c']}: UNSUBACK {event['code']:#x} for "
                              f"{event['filter']} at {event['t']:.3f}")

    def _on_drain(self, _):
        self._has_drained = True

    def _on_receive(self, event):
        where = f"{event['c']}: {event['m']} on {event['topic']} at {event['t']:.3f}"
        if not event["sound"]:
            self._verdict.add("corrupt", where)
            return
        if event["m"] is None:
            return  # clears a retained message: it has no name
        message = self._timeline.messages.get(event["m"])
        if message is None or message.topic != event["topic"]:
            self._verdict.add("corrupt", f"{where}: never published there")
            return
        if message.is_forbidden or (message.publisher.startswith("w")
                                    and event["t"] < message.first_sent):
            self._verdict.add("wills", f"{where}: must not be published"
                              + ("" if message.is_forbidden else " yet"))
        self._look_at_expiry(event, message, where)
        receiver = self._receivers[event["c"]]
        if not event["new"]:
            return
        if event["retain"]:
            if event["qos"] == 2:
                receiver.replays[event["m"]] += 1
            return
        if event["qos"] == 2:
            receiver.doubles[event["m"]] += 1
        receiver.incarnations[-1].got.setdefault(event["m"], event)

    def _look_at_expiry(self, event, message, where):
        if message.expiry is None or event["dup"]:
            return  # one that was begun in time may be sent again at any time
        deadline = message.accepted_by + message.expiry
        if event["t"] > deadline + self._tolerance:
            self._verdict.add("late", f"{where}: expired at {deadline:.3f}")
        elif self._receivers[event["c"]].version == V5:
            # Whole seconds, rounded either way.
            low = message.expiry - (event["t"] - message.first_sent) - self._tolerance
            high = message.expiry - (event["t"] - message.accepted_by) + 1 + self._tolerance
            if event["expiry"] is None or not low <= event["expiry"] <= high:
                self._verdict.add("late", f"{where}: says that it expires in {event['expiry']} s, "
                                  f"not in {low:.1f} to {high:.1f}")

    _HANDLERS = {"connect": _on_connect, "connack": _on_connack, "subscribe": _on_subscribe,
                 "suback": _on_suback, "unsubscribe": _on_unsubscribe, "unsuback": _on_unsuback,
                 "drain": _on_drain, "receive": _on_receive}

    # --- judging ---

    def _judge_all(self):
        subscribers = {name: receiver for name, receiver in self._receivers.items()
                       if receiver.subscribes and not name.startswith("look")}
        for name, receiver in subscribers.items():
            self._judge_doubles(name, receiver)
            for incarnation in receiver.incarnations:
                self._judge_order(name, incarnation)
                self._judge_reasons(name, incarnation)
            if self._has_drained:
                self._judge_lost(name, receiver.incarnations[-1])
        self._judge_groups(subscribers)

    def _judge_doubles(self, name, receiver):
        for message, count in receiver.doubles.items():
            if count > 1:
                self._verdict.add("duplicated", f"{name}: {message} {count} times")
        for message, count in receiver.replays.items():
            topic = self._timeline.messages[message].topic
            subscribes = sum(matches(without_share(f), topic) for f in receiver.subscribes)
            if count > subscribes:
                self._verdict.add("duplicated", f"{name}: {message} {count} times as retained, "
                                  f"for {subscribes} subscriptions")

    def _judge_order(self, name, incarnation):
        latest = {}
        for event in incarnation.got.values():
            message = self._timeline.messages[event["m"]]
            if not self._has_order(message) or self._was_given_up(event, message):
                continue
            key = message.publisher, message.topic, message.qos, event["qos"]
            before = latest.get(key)
            if before is not None and message.number < before.number:
                self._verdict.add("out_of_order", f"{name}: {message.name} at {event['t']:.3f} "
                                  f"after {before.name} on {message.topic}")
            else:
                latest[key] = message

    @staticmethod
    def _was_given_up(event, message):
        """At QoS 1: sent in time as far as the store knows, and expired in the out-queue. That it was
        passed over may be forgotten in a kill, and it comes behind others after all."""
        return (event["qos"] == 1 and event["dup"] and message.expiry is not None
                and event["t"] > message.first_sent + message.expiry)

    @staticmethod
    def _has_order(message):
        """In a share group one that is sent again may go to another member than before."""
        group = group_of(message)
        return not (message.publisher.startswith("w") or group in MORTAL_GROUPS
                    or (group is not None and message.qos == 1))

    def _judge_reasons(self, name, incarnation):
        for event in incarnation.got.values():
            message = self._timeline.messages[event["m"]]
            end = message.acked_at or math.inf
            state, low, high = incarnation.subscriptions.judge(message, message.first_sent, end)
            where = f"{name}: {message.name} on {message.topic} at {event['t']:.3f}"
            if state == NO and group_of(message) not in MORTAL_GROUPS:
                self._verdict.add("subscriptions", f"{where}: not subscribed when it was published")
            if state != NO and not min(low, message.qos) <= event["qos"] <= min(high, message.qos):
                self._verdict.add("subscriptions", f"{where}: QoS {event['qos']}, published at "
                                  f"{message.qos}, granted {low} to {high}")

    def _is_required(self, message):
        return (message.acked_at is not None and not message.is_forbidden and not message.is_empty
                and (message.expiry is None or message.expiry >= LONG_EXPIRY))

    def _was_subscribed(self, incarnation, message):
        state, _, _ = incarnation.subscriptions.judge(message, message.first_sent,
                                                      message.acked_at)
        return state == YES

    def _judge_lost(self, name, incarnation):
        for message in self._timeline.messages.values():
            if (self._is_required(message) and group_of(message) is None
                    and message.name not in incarnation.got
                    and self._was_subscribed(incarnation, message)):
                self._lost(message, name)

    def _lost(self, message, name):
        what = "wills" if message.publisher.startswith("w") else "lost"
        self._verdict.add(what, f"{name} never got {message.name} on {message.topic}, QoS "
                          f"{message.qos}, sent at {message.first_sent:.3f}, acknowledged at "
                          f"{message.acked_at:.3f}")

    def _judge_groups(self, subscribers):
        got = collections.Counter()
        seen = set()
        for receiver in subscribers.values():
            got += receiver.doubles
            for incarnation in receiver.incarnations:
                seen |= incarnation.got.keys()
        for message in self._timeline.messages.values():
            group = group_of(message)
            if group is None:
                continue
            if got[message.name] > 1:
                self._verdict.add("duplicated", f"group {group}: {message.name} "
                                  f"{got[message.name]} times")
            if (self._has_drained and message.name not in seen and self._is_required(message)
                    and self._has_member(subscribers, message)):
                self._lost(message, f"group {group}")

    def _has_member(self, subscribers, message):
        return any(self._was_subscribed(receiver.incarnations[-1], message)
                   for receiver in subscribers.values())
