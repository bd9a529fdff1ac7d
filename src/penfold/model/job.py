"""Work for the ways out, and what became of it.

A Job is one message on its way to one or more recipients that share a lane; its outcome comes back as one Settlement
a recipient.

Standards: RFC 5321 §4.5.4; RFC 3464 §2.3
"""

import msgspec

from penfold.model.envelope import BodyRef, Envelope, Recipient
from penfold.model.ids import QueueId
from penfold.model.reply import Reply


class Route(msgspec.Struct, frozen=True, array_like=True):
    """The answer of routing: which mailer, towards which host, for which user there.

    ``mailer`` names a way out (``local unix smtp lmtp pipe file error discard``); ``host`` is its next hop, as the
    mailer reads it (a domain for MX lookup, ``[host]:port`` to go there directly, ``""`` for local); ``user`` the
    mailbox, program or address at that host.
    """

    mailer: str
    host: str
    user: str


class Target(msgspec.Struct, frozen=True, array_like=True):
    """One recipient of a job: its ``number`` in the queue's record of the message, and where it goes."""

    number: int
    recipient: Recipient
    route: Route
    attempts: int = 0


class Job(msgspec.Struct, frozen=True, array_like=True):
    """One message, some of its recipients, one lane. ``body`` is read through a ``queue.base.Bodies``."""

    id: QueueId
    envelope: Envelope
    body: BodyRef
    targets: tuple[Target, ...]


class Delivered(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """It is there. ``reply`` is what the next hop (or our own delivery) said, ``remote`` who said it.

    ``relayed_dsn`` tells that the next hop took over the duty to send success DSNs (RFC 3461 §5.2.2); ``final`` that
    this was a mailbox, not a relay.
    """

    reply: Reply
    remote: str = ""
    final: bool = False
    relayed_dsn: bool = False


class Deferred(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """Not now. ``host_down`` tells the scheduler that the whole destination failed, not this recipient."""

    reply: Reply
    remote: str = ""
    host_down: bool = False


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """Never. The sender hears of it unless NOTIFY or the null reverse-path forbid it."""

    reply: Reply
    remote: str = ""


class Expanded(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """Replaced by other recipients (alias, ``.forward``, virtual user); may be empty when all of them were dropped."""

    recipients: tuple[Recipient, ...]
    via: str = ""


Outcome = Delivered | Deferred | Failed | Expanded


class Settlement(msgspec.Struct, frozen=True, array_like=True):
    """What became of recipient ``number`` of message ``id`` at this attempt."""

    id: QueueId
    number: int
    outcome: Outcome
