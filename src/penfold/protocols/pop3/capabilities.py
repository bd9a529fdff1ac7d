"""What the server core announces: its greeting and the answer to CAPA.

Standards: RFC 1939 §4, §7; RFC 2449 §5, §6; RFC 2595 §4; RFC 3206 §6; RFC 5034 §3; RFC 6856 §2, §3
"""

from penfold.protocols.pop3.responses import Response
from penfold.protocols.pop3.settings import Expire, ServerSettings

_ALWAYS = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING")


def banner(settings: ServerSettings, timestamp: str) -> Response:
    """Greet; a timestamp is the last word."""
    words = (settings.hostname, settings.banner, "POP3 server ready", timestamp)
    return Response.yes(" ".join(word for word in words if word))


def keywords(
    settings: ServerSettings, *, tls: bool, login_delay: int | None = None, expire: Expire = None, known: bool = False
) -> list[str]:
    """List the capabilities. ``known``: the account is, so ``login_delay`` and ``expire`` are what holds for it."""
    mechanisms = settings.tls_mechanisms if tls else settings.mechanisms
    offered = (
        (settings.user and (tls or settings.clear_text), "USER"),
        (bool(mechanisms), " ".join(("SASL", *mechanisms))),
        (settings.starttls and not tls, "STLS"),
        (settings.utf8, "UTF8 USER"),
        (bool(settings.languages), "LANG"),
    )
    lines = [*_ALWAYS, *(keyword for there, keyword in offered if there)]
    lines += _login_delay(settings, login_delay, known=known) + _expire(settings, expire, known=known)
    return [*lines, f"IMPLEMENTATION {settings.implementation}"] if settings.implementation else lines


def _login_delay(settings: ServerSettings, own: int | None, *, known: bool) -> list[str]:
    seconds = own if known and own is not None else settings.login_delay
    varies = settings.login_delay_varies and not known
    return [f"LOGIN-DELAY {seconds}{' USER' if varies else ''}"] if seconds or varies else []


def _expire(settings: ServerSettings, own: Expire, *, known: bool) -> list[str]:
    days = own if known and own is not None else settings.expire
    varies = settings.expire_varies and not known
    return [] if days is None else [f"EXPIRE {days}{' USER' if varies else ''}"]
