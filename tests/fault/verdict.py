"""What the judge found, in numbers and in words."""
import collections

# Everything that can be wrong, as the summary calls it. All must be 0.
WRONG = {
    "lost": "acknowledged messages that a durable subscriber never got",
    "duplicated": "QoS 2 messages that somebody got twice",
    "out_of_order": "first deliveries of a publisher, topic and QoS in another order than sent",
    "late": "deliveries begun after the message had expired, or with a wrong remaining time",
    "sessions": "sessions that appeared, disappeared, or outlived their expiry",
    "retained": "looks at a retained message that found what cannot be there",
    "subscriptions": "deliveries nobody subscribed to, or at another QoS than granted",
    "wills": "wills missing, published too early, or against the specification",
    "acks": "acknowledgements missing, out of order, for nothing, or with an error",
    "corrupt": "payloads that are not what was published",
    "broken": "starts, stops and drains that failed",
}


class Verdict:
    def __init__(self):
        self.counts = collections.Counter()
        self.kills = collections.Counter()
        self.acknowledged = 0
        self.findings = []

    def add(self, what, words):
        assert what in WRONG, what
        self.counts[what] += 1
        self.findings.append(f"{what}: {words}")

    def __iadd__(self, other):
        self.counts += other.counts
        self.kills += other.kills
        self.acknowledged += other.acknowledged
        self.findings += other.findings
        return self

    @property
    def is_clean(self):
        return not any(self.counts.values())

    def words(self):
        kills = ",".join(f"{name}={count}" for name, count in sorted(self.kills.items()))
        return [f"kills[{kills}]", f"acknowledged={self.acknowledged}",
                *(f"{what}={self.counts[what]}" for what in WRONG)]
