"""The capability list: what is announced when, and what can be enabled.

Standards: RFC 9051 §6.1.1, §7.2.2; RFC 5161; RFC 7888 §5; RFC 7889 §2; RFC 4978 §3; RFC 9586; RFC 5464 §4.1
"""

from collections.abc import Iterable

from penfold.protocols.imap.settings import Settings

BEFORE_LOGIN = frozenset({"IMAP4rev1", "IMAP4rev2", "LITERAL+", "LITERAL-", "SASL-IR", "ID", "ENABLE", "IDLE"})
ENABLEABLE = frozenset({"CONDSTORE", "IMAP4rev2", "METADATA", "METADATA-SERVER", "QRESYNC", "UIDONLY", "UTF8=ACCEPT"})
_SPECIAL = {"APPENDLIMIT", "COMPRESS=DEFLATE"}


def keywords(settings: Settings, *, tls: bool, authenticated: bool, compressed: bool = False) -> bytes:
    """Write the list as it stands in this state, without the word CAPABILITY."""
    offered = settings.capabilities
    words = [word for word in offered if word not in _SPECIAL and (authenticated or word in BEFORE_LOGIN)]
    if authenticated:
        words += _after_login(settings, compressed=compressed)
    else:
        words += _before_login(settings, tls=tls, compressed=compressed)
    return " ".join(words).encode()


def _before_login(settings: Settings, *, tls: bool, compressed: bool) -> list[str]:
    words = ["STARTTLS"] if settings.starttls and not (tls or compressed) else []
    words += [f"AUTH={each}" for each in (settings.tls_mechanisms if tls else settings.mechanisms)]
    if not tls and not settings.clear_login:
        words.append("LOGINDISABLED")
    return words


def _after_login(settings: Settings, *, compressed: bool) -> list[str]:
    words = []
    if "APPENDLIMIT" in settings.capabilities and settings.max_append:
        words.append(f"APPENDLIMIT={settings.max_append}")
    if "COMPRESS=DEFLATE" in settings.capabilities and not compressed:
        words.append("COMPRESS=DEFLATE")
    return words


def enableable(settings: Settings, asked: Iterable[str]) -> list[str]:
    """Pick what is offered and can be enabled out of names in upper case."""
    known = {each.upper(): each for each in settings.capabilities if each in ENABLEABLE}
    return [known[name] for name in asked if name in known]
