"""What happened in a run, in order: the one thing the judge believes."""
import json
import time


class History:
    """Events: dictionaries with `t` (seconds of one monotonic clock), `kind`, and by kind more.

    Of the broker: start, kill, disk (what it refuses from now on). Of a client `c`: connect, connack, disconnect, cut, lost; publish,
    ack (PUBACK or PUBREC), pubrel, pubcomp, abandon; subscribe, suback, unsubscribe, unsuback;
    receive; retained (what a look at the retained messages found); drain.
    """

    def __init__(self, events=None):
        self.events = events if events is not None else []

    def record(self, kind, **fields):
        event = {"t": time.monotonic(), "kind": kind, **fields}
        self.events.append(event)
        return event

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            for event in self.events:
                json.dump(event, file, separators=(",", ":"))
                file.write("\n")

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls([json.loads(line) for line in file])
