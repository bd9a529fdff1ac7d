"""What a POP3 server core offers, demands and endures.

Standards: RFC 1939 §3; RFC 2449 §4, §6; RFC 2595 §4; RFC 5034 §4; RFC 6856 §3
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

Expire = int | Literal["NEVER"] | None


class Language(msgspec.Struct, frozen=True):
    """A language of our answers: ``name`` in itself; ``texts`` has the translations of English texts, whole texts."""

    name: str
    texts: Mapping[str, str] = {}


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a server core; sizes in octets, times in seconds, 0 of a limit means none.

    ``mechanisms`` are those of AUTH in the clear, ``tls_mechanisms`` those under TLS; ``user`` offers USER and PASS,
    without TLS only where ``clear_text`` allows it. ``apop`` offers APOP if the greeting brings a timestamp.
    ``login_delay`` (0: not announced) and ``expire`` (days a message is kept) are only announced here; ``_varies``
    tells that an account's may differ. ``implementation`` empty hides what we are. ``languages`` by tag, the preferred
    one first; empty: no LANG. ``transmit`` offers XTND XMIT.

    ``login_timeout`` is for the whole of the time before log-in, ``timeout`` for a silence after it: RFC 1939 §3 wants
    600 at least. ``max_errors`` errors before or since log-in end the conversation, as do ``max_commands`` commands
    before it. A line (RFC 2449 §4) counts with its end.
    """

    hostname: str
    banner: str = "Penfold"
    user: bool = True
    clear_text: bool = False
    apop: bool = False
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    tls_mechanisms: tuple[str, ...] = ()
    login_delay: int = 0
    login_delay_varies: bool = False
    expire: Expire = None
    expire_varies: bool = False
    implementation: str = ""
    utf8: bool = True
    languages: Mapping[str, Language] = {}
    transmit: bool = False
    max_size: int = 50 * 1024 * 1024
    max_line: int = 255
    max_auth_line: int = 12288
    max_errors: int = 20
    max_commands: int = 50
    login_timeout: float = 180.0
    timeout: float = 600.0
