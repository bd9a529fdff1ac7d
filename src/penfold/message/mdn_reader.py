"""Reading message disposition notifications: what became of a message after delivery.

Standards: RFC 8098 §3.1, §3.2; RFC 6533 §4
Trust: parses octets from anybody; never fails, what is unreadable is absent.
"""

import re
from typing import NamedTuple

from penfold.message.dsn_reader import field_table, typed
from penfold.message.mime import scan
from penfold.message.transfer import decoded

_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_DISPOSITION = re.compile(r"\s*([a-z-]+)\s*/\s*([a-z-]+)\s*;\s*([a-z-]+)", re.IGNORECASE)


class Mdn(NamedTuple):
    """A notification; ``""`` for what is not said.

    ``action`` and ``sending`` tell whether a person or a program disposed and sent (``manual-action``,
    ``mdn-sent-automatically``); ``disposition`` what became of it (``displayed``, ``deleted``, ``processed`` …).
    """

    final: str
    original: str
    message_id: str
    action: str
    sending: str
    disposition: str
    fields: dict[str, str]


def parse_mdn(data: bytes) -> Mdn | None:
    """Read a notification; None if the message is none."""
    part = next((part for part in scan(data).walk() if part.type in _TYPES), None)
    if part is None:
        return None
    fields = field_table(decoded(data[part.body : part.end], part.encoding))
    match = _DISPOSITION.match(fields.get("disposition", ""))
    action, sending, disposition = (word.lower() for word in match.groups()) if match else ("", "", "")
    return Mdn(
        typed(fields.get("final-recipient", "")),
        typed(fields.get("original-recipient", "")),
        fields.get("original-message-id", ""),
        action,
        sending,
        disposition,
        fields,
    )
