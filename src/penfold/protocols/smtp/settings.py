"""What an SMTP, submission or LMTP server core offers, demands and endures.

Standards: RFC 5321 §4.5.3; RFC 2033; RFC 6409; RFC 4954 §4
"""

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Which of the three doors this is."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class BareEnds(StrEnum):
    """What becomes of a CR or LF in a message that is not part of a CRLF.

    SECURITY: hosts that disagree on where a line ends can be made to disagree on where a message ends. ``CONVERT`` is
    for our own users' programs (submission), whose mail we vouch for anyway.
    """

    REJECT = "reject"
    CONVERT = "convert"


DEFAULT_EXTENSIONS = frozenset(
    {"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "DSN"}
)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a server core; sizes in octets, times in seconds, 0 of a limit means none.

    ``extensions`` are the ones announced beside SIZE, STARTTLS and AUTH, which follow from ``max_size``, ``starttls``
    and the mechanism lists (``mechanisms`` in the clear, ``tls_mechanisms`` under TLS). ``max_errors`` replies 5yz
    without an accepted message in between end the conversation, as do ``max_commands`` commands other than MAIL, RCPT,
    DATA and BDAT. ``strict_paths`` refuses paths without angle brackets; ``unqualified`` takes addresses without a
    domain (``<postmaster>`` is always taken).
    """

    hostname: str
    role: Role = Role.SMTP
    banner: str = "Penfold"
    max_size: int = 50 * 1024 * 1024
    max_recipients: int = 1000
    max_line: int = 2048
    max_auth_line: int = 12288
    max_errors: int = 20
    max_commands: int = 100
    command_timeout: float = 300.0
    data_timeout: float = 600.0
    extensions: frozenset[str] = DEFAULT_EXTENSIONS
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    tls_mechanisms: tuple[str, ...] = ()
    require_tls: bool = False
    require_auth: bool = False
    verify: bool = False
    expand: bool = False
    bare_ends: BareEnds = BareEnds.REJECT
    strict_paths: bool = False
    unqualified: bool = False

    @property
    def lmtp(self) -> bool:
        """Whether this door speaks LMTP."""
        return self.role is Role.LMTP
