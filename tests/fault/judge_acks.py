"""Whether each acknowledgement comes for something, in order, and without an error."""
import collections

SERVER_SHUTTING_DOWN, PACKET_ID_NOT_FOUND = 0x8B, 0x92


class AckJudge:
    def __init__(self, timeline, verdict):
        self._timeline = timeline
        self._verdict = verdict
        self._open = {}  # (client, QoS) -> packet ids sent on this connection, in order
        self._released = collections.Counter()  # message -> how often its PUBREL was sent
        for event in timeline.events:
            if (handler := self._HANDLERS.get(event["kind"])) is not None:
                handler(self, event)

    def _on_connect(self, event):
        for qos in (1, 2):
            self._open[event["c"], qos] = collections.deque()

    def _on_publish(self, event):
        if event["qos"]:
            self._open[event["c"], event["qos"]].append(event["m"])

    def _on_ack(self, event):
        where = f"{event['c']}: {event['m']} at {event['t']:.3f}"
        if event["code"] >= 0x80 and not self._may_fail(event):
            self._verdict.add("acks", f"{where}: reason code {event['code']:#x}")
        waiting = next((ids for qos in (1, 2) if event["m"] in
                        (ids := self._open[event["c"], qos])), None)
        if waiting is None:
            return
        if waiting[0] != event["m"]:
            self._verdict.add("acks", f"{where}: acknowledged before {waiting[0]}")
        waiting.remove(event["m"])

    def _may_fail(self, event):
        return self._timeline.may_fail(event["t"], event["t"])

    def _on_pubrel(self, event):
        self._released[event["m"]] += 1

    def _on_pubcomp(self, event):
        if event["code"] == 0:
            return
        # After a lost PUBCOMP the broker has every reason not to know it any more.
        if event["code"] != PACKET_ID_NOT_FOUND or self._released[event["m"]] == 1:
            self._verdict.add("acks", f"{event['c']}: PUBCOMP {event['code']:#x} for the first "
                              f"PUBREL of {event['m']} at {event['t']:.3f}")

    def _on_refused(self, event):
        if event["code"] != SERVER_SHUTTING_DOWN and not self._may_fail(event):
            self._verdict.add("acks", f"{event['c']}: DISCONNECT {event['code']:#x} "
                              f"at {event['t']:.3f}")

    def _on_silent(self, event):
        self._verdict.add("broken", f"{event.get('c', 'broker')}: no end of {event['what']} "
                          f"at {event['t']:.3f}")

    _HANDLERS = {"connect": _on_connect, "publish": _on_publish, "ack": _on_ack,
                 "pubrel": _on_pubrel, "pubcomp": _on_pubcomp, "refused": _on_refused,
                 "silent": _on_silent}
