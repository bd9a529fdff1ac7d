"""What a server says of itself: the banner and the answer to EHLO.

Standards: RFC 5321 §4.1.1.1, §4.3.1; RFC 1870 §3; RFC 4954 §3
"""

from functools import lru_cache

from penfold.model import Reply
from penfold.protocols.smtp.commands import XCLIENT_ATTRIBUTES
from penfold.protocols.smtp.settings import ServerSettings


def banner(settings: ServerSettings) -> Reply:
    """Build the 220 greeting."""
    return Reply.of(220, "", f"{settings.hostname} {'LMTP' if settings.lmtp else 'ESMTP'} {settings.banner}".rstrip())


@lru_cache(maxsize=64)
def keywords(settings: ServerSettings, *, tls: bool, authenticated: bool, xclient: bool) -> tuple[str, ...]:
    """List the EHLO lines after the first."""
    lines = [word for word in ("PIPELINING",) if word in settings.extensions]
    lines.append(f"SIZE {settings.max_size}" if settings.max_size else "SIZE")
    if settings.starttls and not tls:
        lines.append("STARTTLS")
    mechanisms = settings.tls_mechanisms if tls else settings.mechanisms
    if mechanisms and not authenticated and not (settings.require_tls and not tls):
        lines.append("AUTH " + " ".join(mechanisms))
    lines += sorted(settings.extensions - {"PIPELINING"})
    lines += [name for name, offered in (("VRFY", settings.verify), ("EXPN", settings.expand)) if offered]
    if xclient:
        lines.append("XCLIENT " + " ".join(XCLIENT_ATTRIBUTES))
    return (*lines, "HELP")
