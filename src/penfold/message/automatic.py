"""Whether a message may be answered by a program: vacation notices and other automatic replies.

Standards: RFC 3834 §2, §4, §5; RFC 2369; RFC 2919; RFC 5230 §4.6; RFC 5436 §2.7.1
Trust: the header comes from anybody; in doubt there is no answer.
"""

import re

from penfold.message.header import Header
from penfold.model import Address

_BULK = frozenset({b"bulk", b"list", b"junk"})
_ROBOT = re.compile(
    r"(?:owner-.*|.*-owner|.*-request|.*-bounces?(?:[+=-].*)?|mailer-daemon|listserv|majordomo)\Z", re.IGNORECASE
)
_LIST_FIELD = re.compile(rb"^list-(?:id|post|help|unsubscribe|subscribe|owner|archive)[ \t]*:", re.MULTILINE)


def why_unanswerable(header: bytes, reverse_path: Address | None) -> str:
    """Say why no program should answer this message; ``""`` if one may (to the reverse-path, RFC 3834 §4)."""
    if reverse_path is None:
        return "null reverse-path"
    if _ROBOT.match(reverse_path.local):
        return f"sent by a program: {reverse_path}"
    fields = Header(header)
    if any(_keyword(value) != b"no" for value in fields.all("auto-submitted")):
        return "Auto-Submitted"
    if any(_keyword(value) in _BULK for value in fields.all("precedence")):
        return "Precedence"
    return "mailing list" if _LIST_FIELD.search(header.lower()) else ""


def _keyword(value: bytes) -> bytes:
    return value.partition(b";")[0].partition(b"(")[0].strip().lower()
