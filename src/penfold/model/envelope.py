"""The envelope: what SMTP knows of a message beside its content.

Standards: RFC 5321 §2.3.1; RFC 3461 (NOTIFY, ORCPT, RET, ENVID); RFC 6152; RFC 3030; RFC 6531
"""

from enum import IntFlag, StrEnum

import msgspec

from penfold.model.address import Address


class BodyType(StrEnum):
    """The BODY parameter of MAIL (RFC 6152, RFC 3030)."""

    SEVEN = "7BIT"
    EIGHT = "8BITMIME"
    BINARY = "BINARYMIME"


class Return(StrEnum):
    """RET: how much of the message a DSN should bring back (RFC 3461 §4.3)."""

    UNSET = ""
    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(IntFlag):
    """NOTIFY: when the sender wants to hear (RFC 3461 §4.1). UNSET means the default, failure and delay."""

    UNSET = 0
    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """One recipient and all that belongs to it alone.

    ``address`` is where it goes now; ``original`` the address the sender gave, where an alias or ``.forward`` replaced
    it; ``notify`` and ``orcpt`` (``"rfc822;bob@example.org"``, xtext already decoded, ``""`` if absent) the DSN wishes;
    ``owner`` replaces the reverse-path for this recipient (an ``owner-`` alias); ``parents`` the addresses expanded on
    the way here, oldest first: the guard against alias loops; ``rights`` the name of the Unix user whose ``.forward``
    or ``:include:`` file named this recipient, ``""`` when an administrator's table did (never more rights than that).
    """

    address: Address
    original: Address | None = None
    notify: int = 0
    orcpt: str = ""
    owner: Address | None = None
    parents: tuple[Address, ...] = ()
    rights: str = ""


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where a message came in: for the trace field, policy and the log.

    ``protocol`` is the with-clause keyword (``ESMTP``, ``ESMTPSA``, ``LMTP`` …, RFC 3848) or ``local``; ``client`` the
    IP address as text or ``""``; ``helo`` what the client called itself; ``user`` the authenticated account or local
    user; ``session`` names the session in the log; ``tls`` is version and cipher, ``""`` in the clear.
    """

    protocol: str
    client: str = ""
    port: int = 0
    helo: str = ""
    user: str = ""
    session: str = ""
    tls: str = ""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What all recipients of a message share. The recipients themselves travel beside it (tuple[Recipient, ...]).

    ``reverse_path`` is None for the null reverse-path ``<>``; ``arrived`` is POSIX seconds UTC; ``size`` the octets of
    the stored message (trace fields included, CRLF line ends); ``hops`` the number of Received fields it came with.
    """

    reverse_path: Address | None
    arrived: float
    size: int
    origin: Origin
    body_type: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    message_id: str = ""
    hops: int = 0


class BodyRef(msgspec.Struct, frozen=True, array_like=True):
    """Where the octets of a message lie: ``prefix``, then ``length`` octets at ``offset`` of ``file``.

    ``file`` is a name relative to the spool. The octets are the message in wire form (CRLF line ends, no dot-stuffing).
    """

    file: str
    offset: int
    length: int
    prefix: bytes = b""
