"""What a session was subscribed to, and how surely, at any time."""
import bisect
import math

NO, MAYBE, YES = range(3)


def matches(topic_filter, topic):
    """Without the prefix of a share; topics here never begin with '$'."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number == len(given) or level not in ("+", given[number]):
            return False
    return len(wanted) == len(given)


def without_share(topic_filter):
    return topic_filter.split("/", 2)[2] if topic_filter.startswith("$share/") else topic_filter


class Filter:
    """The changes of one subscription: from a time on it is there (NO, MAYBE, YES), at one of these
    QoS."""

    def __init__(self):
        self._times = [-math.inf]
        self._states = [(NO, frozenset())]

    def _append(self, time, state, qoses):
        self._times.append(time)
        self._states.append((state, frozenset(qoses)))

    def asked(self, time, qos):
        state, qoses = self._states[-1]
        self._append(time, YES if state == YES else MAYBE, qoses | {qos})

    def granted(self, time, qos):
        self._append(time, YES, {qos})

    def leaving(self, time):
        state, qoses = self._states[-1]
        if state != NO:
            self._append(time, MAYBE, qoses)

    def left(self, time):
        self._append(time, NO, ())

    def within(self, begin, end):
        """All its (state, QoS) between two times."""
        first = bisect.bisect_right(self._times, begin) - 1
        last = bisect.bisect_right(self._times, end)
        return self._states[first:last]


class Subscriptions:
    def __init__(self):
        self._filters = {}

    def of(self, topic_filter):
        return self._filters.setdefault(topic_filter, Filter())

    def judge(self, message, begin, end):
        """(state, lowest QoS granted, highest): for a message routed at some time in between."""
        best, low, high = NO, 0, 0
        for topic_filter, changes in self._filters.items():
            if not matches(without_share(topic_filter), message.topic):
                continue
            seen = changes.within(begin, end)
            states = {state for state, _ in seen}
            if states == {NO}:
                continue
            qoses = {qos for _, some in seen for qos in some}
            high = max(high, *qoses)
            if states == {YES}:
                best, low = YES, max(low, min(qoses))
            else:
                best = max(best, MAYBE)
        return best, low, high
