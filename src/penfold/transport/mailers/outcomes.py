"""From replies to outcomes: what one transaction, or a connection that did not open, means for each recipient.

===========================================  ==========================================================
what happened                                what becomes of the recipient
===========================================  ==========================================================
2yz at the end                               delivered
5yz, wherever it was said                    failed
4yz to RCPT, DATA or the end                 deferred
4yz to MAIL, 421, connection lost before     the next address; deferred when there is none left
the body was out
connection lost after the body was out       deferred: it may have arrived, and will then arrive twice
452 4.5.3 beside accepted recipients         the next transaction
===========================================  ==========================================================

Standards: RFC 5321 §4.2.1, §4.5.3.1.10, §5.1, §6.1; RFC 3461 §5.2.2; RFC 1047 (why there are duplicates)
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from penfold.model import Deferred, Delivered, Failed, Outcome, Reply, Target
from penfold.transport.mailers.connection import Ending, Refusal
from penfold.transport.mailers.errand import Errand

# QUIRK: RFC 5321 §4.5.3.1.10: some say 552 where they mean 452.
_TOO_MANY = {(452, "4.5.3"), (452, "4.0.0"), (552, "5.5.3")}
_UNCLEAR = "Connection lost after the end of the message: it may have arrived"


class Verdict(msgspec.Struct, frozen=True):
    """``settled``: outcomes by target number. ``again``: targets for the next transaction; ``elsewhere``: those for
    another address, with what they are to be told if there is none. ``unclear``: whether a message may arrive twice.
    """

    settled: list[tuple[int, Outcome]]
    again: list[Target]
    elsewhere: list[Target]
    last: Outcome | None = None
    unclear: bool = False


def refusal(reply: Reply, remote: str = "", *, down: bool = False) -> Outcome:
    """Turn a negative reply into an outcome; ``down``: it speaks for the whole destination."""
    return Failed(reply, remote) if reply.permanent else Deferred(reply, remote, down)


def judge(errand: Errand, ending: Ending, delivered: Delivered) -> Verdict:
    """Tell what a transaction came to; ``delivered`` is the outcome of success, but for its reply."""
    replies = ending.replies
    targets = errand.targets
    if not ending.lost and replies[0].positive and len(replies) == 1:
        return Verdict([(targets[0].number, replace(delivered, reply=replies[0]))], [], [])
    if ending.trouble is not None:
        return Verdict([(target.number, Deferred(ending.trouble)) for target in targets], [], [])
    if ending.sender is None and not ending.lost:
        return Verdict([(t.number, refusal(r)) for t, r in zip(targets, replies, strict=True)], [], [])
    return _sorted(errand, ending, delivered)


def _sorted(errand: Errand, ending: Ending, delivered: Delivered) -> Verdict:
    remote = delivered.remote
    settled: list[tuple[int, Outcome]] = []
    again: list[Target] = []
    elsewhere: list[Target] = []
    last: Outcome | None = None
    unclear = False
    refused_sender = ending.sender is not None and ending.sender.transient
    some = any(reply.positive for reply in ending.replies)
    for index, (target, reply) in enumerate(zip(errand.targets, ending.replies, strict=True)):
        if reply.positive:
            settled.append((target.number, replace(delivered, reply=reply)))
            continue
        open_ = reply.transient and index not in ending.answered
        if open_ and not ending.sent and (ending.lost or refused_sender):
            elsewhere.append(target)
            last = Deferred(reply, remote, reply.code == 421)
        elif some and (reply.code, reply.status) in _TOO_MANY and not ending.lost:
            again.append(target)
        elif open_ and ending.lost and reply.status == "4.4.2" and reply.code != 421:
            unclear = True
            settled.append((target.number, Deferred(reply.with_text(_UNCLEAR), remote)))
        else:
            settled.append((target.number, refusal(reply, remote)))
    return Verdict(settled, again, elsewhere, last, unclear)


def unopened(refusals: Sequence[tuple[str, Refusal]]) -> Outcome:
    """Tell what the addresses of a destination came to, none of which let us in.

    A 5yz holds only where every server said one (RFC 5321 §5.1); else the last transient answer is told.
    """
    said = [(name, each) for name, each in refusals if each.said]
    if len(said) == len(refusals) and all(each.reply.permanent for _, each in said):
        return Failed(said[0][1].reply, said[0][0])
    name, each = [pair for pair in refusals if not pair[1].reply.permanent][-1]
    return Deferred(each.reply, name if each.said else "", host_down=True)
