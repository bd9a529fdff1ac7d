"""What the queue manager tells the log: the way chosen, the rules that led there, how each attempt ended."""

from penfold.model import Deferred, Delivered, Expanded, Failed, Job, Outcome, QueueId, Recipient, Route, Target
from penfold.routing.base import Decision, Deliver, Expand, Step
from penfold.telemetry import events

_MOST_NAMED = 100
OUTCOMES: dict[type, str] = {  # the words of the log
    Delivered: "delivered",
    Deferred: "deferred",
    Failed: "failed",
    Expanded: "expanded",
}


def routed(id_: QueueId, number: int, recipient: Recipient, decision: Decision, now: float) -> events.AnyEvent:
    """Tell a decision of the router; a refusal shows as the mailer ``error``."""
    result = decision.result
    address = str(recipient.address)
    if isinstance(result, Expand):
        return events.Expanded(
            at=now,
            id=id_,
            number=number,
            recipient=address,
            recipients=tuple(str(child.address) for child in result.recipients[:_MOST_NAMED]),
            via=result.via,
            steps=decision.steps,
        )
    if isinstance(result, Deliver):
        mailer, host, user = result.route.mailer, result.route.host, result.route.user
    else:
        mailer, host, user = "error", result.reply.status, str(result.reply)
    return events.Routed(
        at=now, id=id_, number=number, recipient=address, mailer=mailer, host=host, user=user, steps=decision.steps
    )


def ordered(id_: QueueId, number: int, recipient: Recipient, route: Route, now: float) -> events.AnyEvent:
    """Tell that an operator's order stood over routing."""
    return events.Routed(
        at=now,
        id=id_,
        number=number,
        recipient=str(recipient.address),
        mailer=route.mailer,
        host=route.host,
        user=route.user,
        steps=(Step("operator", "routed by order"),),
    )


def attempted(job: Job, target: Target, outcome: Outcome, began: float, now: float) -> events.AnyEvent:
    """Tell how an attempt of a mailer ended, and what the other side said."""
    route = target.route
    said = "" if isinstance(outcome, Expanded) else str(outcome.reply)
    return events.Attempt(
        at=now,
        id=job.id,
        number=target.number,
        mailer=route.mailer,
        outcome=OUTCOMES[type(outcome)],
        recipient=str(target.recipient.address),
        host=route.host,
        remote="" if isinstance(outcome, Expanded) else outcome.remote,
        reply=said,
        attempt=target.attempts + 1,
        seconds=now - began,
    )
