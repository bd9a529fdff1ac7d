"""What the queue manager tells the log about routing: the way chosen, and the rules that led there."""

from penfold.model import QueueId, Recipient, Route
from penfold.routing.base import Decision, Deliver, Expand, Step
from penfold.telemetry import events

_MOST_NAMED = 100


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
