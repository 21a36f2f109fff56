"""Judges the history of a run. Whatever was not acknowledged may or may not have happened."""
from judge_acks import AckJudge
from judge_deliveries import DeliveryJudge
from judge_retained import RetainedJudge
from judge_sessions import SessionJudge
from judge_wills import WillJudge
from timeline import Timeline
from verdict import WRONG, Verdict

__all__ = ["WRONG", "Verdict", "judge"]


def judge(events):
    verdict = Verdict()
    timeline = Timeline(events)
    WillJudge(timeline, verdict)  # first: wills join the timeline as messages
    for one in (SessionJudge, AckJudge, RetainedJudge, DeliveryJudge):
        one(timeline, verdict)
    verdict.acknowledged = sum(message.acked_at is not None
                               for message in timeline.messages.values())
    return verdict
