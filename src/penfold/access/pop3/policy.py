"""A site's habits: who may say a password in the clear, and what a session does with messages beside sending them.

Qpopper's *server mode* works on the spool as it lies; without it a session works on a private copy. Over the store
nothing is ever copied, so all that is left of the choice is what happens to a message another program removes while
the session lasts: as from a copy, it is still sent where the store can (``server_mode`` off), or it is gone.

Standards: RFC 1939 §8; RFC 2449 §6.7; RFC 6856 §2; RFC 8314 §4.1;
  https://web.archive.org/web/2011/http://www.eudora.com/products/unsupported/qpopper/ (-p, -S)
"""

from enum import StrEnum

import msgspec

from penfold.protocols.pop3 import ServerSettings

_SAID = ("PLAIN", "LOGIN")  # mechanisms that say the password itself


class ClearText(StrEnum):
    """Where a password may be said in the clear: Qpopper's ``-p0`` to ``-p4``. Under TLS it is not in the clear.

    ``DEFAULT``: anywhere, but not for accounts with a shared secret, who have APOP. ``NEVER``: nowhere, not even under
    TLS. ``ALWAYS``: anywhere. ``LOCAL``: from this machine. ``TLS``: only under TLS.
    """

    DEFAULT = "default"
    NEVER = "never"
    ALWAYS = "always"
    LOCAL = "local"
    TLS = "tls"


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """What the sessions of a listener do where the standards leave it to the site.

    ``mark_seen`` flags what was retrieved at QUIT. ``raw_headers`` sends internationalised header fields also to
    clients that never said UTF8, which RFC 6856 forbids and many servers do. ``session_seconds``: how long a session
    may last at most.
    """

    clear_text: ClearText = ClearText.TLS
    server_mode: bool = False
    mark_seen: bool = True
    raw_headers: bool = False
    session_seconds: float = 86400.0


def offered(settings: ServerSettings, clear_text: ClearText, *, local: bool = False) -> ServerSettings:
    """Give the settings under this policy, for a client on this machine or another.

    ``settings.tls_mechanisms`` are all there are; ``settings.mechanisms`` those that say no password.
    """
    if clear_text is ClearText.NEVER:
        mute = tuple(name for name in settings.tls_mechanisms if name not in _SAID)
        unsaid = tuple(name for name in settings.mechanisms if name not in _SAID)
        return msgspec.structs.replace(settings, user=False, clear_text=False, tls_mechanisms=mute, mechanisms=unsaid)
    clear = clear_text in {ClearText.DEFAULT, ClearText.ALWAYS} or (clear_text is ClearText.LOCAL and local)
    mechanisms = tuple(
        name for name in settings.tls_mechanisms if (clear if name in _SAID else name in settings.mechanisms)
    )
    return msgspec.structs.replace(settings, clear_text=clear, mechanisms=mechanisms)
