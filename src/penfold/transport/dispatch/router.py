"""What the queue manager makes of a routing decision: the postmaster is rescued, heirs get what they inherit."""

from penfold.model import Address, Notify, Recipient
from penfold.routing.base import Decision, Expand, Refuse, Step


def is_postmaster(address: Address) -> bool:
    """Tell whether this is the one local part every domain answers to (RFC 5321 §4.5.1)."""
    return address.local.lower() == "postmaster"


def rescue_postmaster(decision: Decision, recipient: Recipient, postmaster: Address | None) -> Decision:
    """Send mail for a local postmaster that nobody is configured to get to the host's own postmaster."""
    refusal = decision.result
    if not isinstance(refusal, Refuse) or not refusal.local or not refusal.reply.permanent:
        return decision
    if postmaster is None or postmaster == recipient.address or not is_postmaster(recipient.address):
        return decision
    if postmaster in recipient.parents:
        return decision
    step = Step("postmaster", f"{recipient.address} has no mailbox: to {postmaster}")
    return Decision(Expand((Recipient(postmaster),), "postmaster"), (*decision.steps, step))


def inherited(parent: Recipient, children: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Give recipients what they inherit from the one they replace.

    A child that names its parents got everything from whoever expanded it, and is left alone. Of several others none
    reports success for itself (RFC 3461 §5.2.7.3).
    """
    notify = parent.notify
    if len(children) > 1 and notify & Notify.SUCCESS:
        notify = int(notify & ~Notify.SUCCESS or Notify.NEVER)
    original = parent.original or parent.address
    parents = (*parent.parents, parent.address)
    return tuple(
        child
        if child.parents
        else Recipient(
            child.address, original, notify, parent.orcpt, child.owner or parent.owner, parents, child.rights
        )
        for child in children
    )
