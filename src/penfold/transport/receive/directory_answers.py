"""VRFY and EXPN, where the administrator lets them tell the truth.

Standards: RFC 5321 §3.5, §7.3
Trust: the question is a stranger's; the answer tells who exists, which is why it is off by default.
"""

from collections.abc import Awaitable, Callable

from penfold.directory.routing import Routing
from penfold.model import Address, AddressError, Recipient, Reply, parse_address
from penfold.model.soon import Soon
from penfold.protocols.smtp import replies
from penfold.routing.base import Decision, Deliver, Expand, Question, Refuse

MAX_MEMBERS = 100  # shown of a list
_NOT_ONE = Reply.of(501, "5.1.3", "Give one address")


def verify(routing: Routing, text: str) -> Soon[Reply]:
    """Tell whether mail for an address would be taken."""
    address = _address(text)
    if address is None:
        return _NOT_ONE
    question = Question(Recipient(address), None, "rcpt")
    return _then(routing.resolve(question), lambda decision: _exists(address, decision))


def expand(routing: Routing, text: str) -> Soon[Reply]:
    """Name the members of a list; of anything else say what VRFY says."""
    address = _address(text)
    if address is None:
        return _NOT_ONE
    question = Question(Recipient(address), None, "dispatch")
    return _then(routing.resolve(question), lambda decision: _members(address, decision))


def _address(text: str) -> Address | None:
    text = text.strip()
    try:
        return parse_address(text[1:-1] if text.startswith("<") and text.endswith(">") else text)
    except AddressError:
        return None


def _exists(address: Address, decision: Decision) -> Reply:
    result = decision.result
    if isinstance(result, Refuse):
        return result.reply
    if isinstance(result, Deliver) and not result.local:
        return replies.CANNOT_VERIFY
    return Reply.of(250, "2.1.5", f"<{address}>")


def _members(address: Address, decision: Decision) -> Reply:
    result = decision.result
    if not isinstance(result, Expand):
        return _exists(address, decision)
    # SECURITY: programs and files are nobody's business.
    shown = [f"<{each.address}>" for each in result.recipients if "." in each.address.domain][:MAX_MEMBERS]
    return Reply(250, "2.1.5", tuple(shown)) if shown else replies.CANNOT_VERIFY


def _then(decision: Soon[Decision], answer: Callable[[Decision], Reply]) -> Soon[Reply]:
    if isinstance(decision, Awaitable):
        return _later(decision, answer)
    return answer(decision)


async def _later(decision: Awaitable[Decision], answer: Callable[[Decision], Reply]) -> Reply:
    return answer(await decision)
