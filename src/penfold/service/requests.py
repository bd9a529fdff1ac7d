"""What may be asked at the operator's desk: one type a request, told apart by ``do``.

Trust: octets of whoever may connect; decoded into these types or refused.
"""

from typing import TypeAlias

import msgspec

from penfold.queue.admin import Selection


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """What all have in common: nothing."""


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    """Is anybody there?"""


class List(Request, frozen=True, kw_only=True, tag="list"):
    """List recipients, oldest message first; ``limit`` 0 gives all of them in no order."""

    selection: Selection = Selection()
    limit: int = 1000


class Show(Request, frozen=True, kw_only=True, tag="show"):
    """Show one message."""

    id: str


class Hold(Request, frozen=True, kw_only=True, tag="hold"):
    """Keep from delivery."""

    selection: Selection


class Release(Request, frozen=True, kw_only=True, tag="release"):
    """End a hold."""

    selection: Selection


class Flush(Request, frozen=True, kw_only=True, tag="flush"):
    """Try deferred mail now."""

    selection: Selection = Selection()


class Delete(Request, frozen=True, kw_only=True, tag="delete"):
    """Throw away."""

    selection: Selection


class Route(Request, frozen=True, kw_only=True, tag="route"):
    """Send another way: ``to`` is ``mailer:host`` as in the transport table; empty ends an earlier order."""

    selection: Selection
    to: str = ""


class Edit(Request, frozen=True, kw_only=True, tag="edit"):
    """Put other addresses in the place of recipient ``number`` (or of the one whose address is ``recipient``)."""

    id: str
    addresses: tuple[str, ...]
    number: int = -1
    recipient: str = ""


class Status(Request, frozen=True, kw_only=True, tag="status"):
    """How are you?"""


class Why(Request, frozen=True, kw_only=True, tag="why"):
    """What became of it? (for those who can't read the event log themselves)"""

    question: str
    most: int = 10


class Would(Request, frozen=True, kw_only=True, tag="would"):
    """Where would mail for this address go? ``sender`` ``<>`` is the null reverse-path."""

    recipient: str
    sender: str = ""
    user: str = ""


class Aliases(Request, frozen=True, kw_only=True, tag="aliases"):
    """Read the alias files; are they good?"""


AnyRequest: TypeAlias = (
    Ping | List | Show | Hold | Release | Flush | Delete | Route | Edit | Status | Why | Would | Aliases
)
PUBLIC: tuple[type[Request], ...] = (Ping, List)
