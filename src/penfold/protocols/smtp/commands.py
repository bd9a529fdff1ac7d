"""MAIL, RCPT and their parameters: from the octets of an argument to the event, or to a Refusal.

Every ESMTP parameter is a row in a table: the extension that brings it and the function that reads its value.

Standards: RFC 5321 §4.1.1.2, §4.1.1.3; RFC 1870; RFC 6152; RFC 3030; RFC 3461 §4; RFC 6531 §3.4; RFC 4954 §5
Trust: the client's.
"""

from collections.abc import Callable, Mapping

from penfold.model import Address, BodyType, Notify, Return
from penfold.protocols.smtp import replies
from penfold.protocols.smtp.events import Mail, Rcpt
from penfold.protocols.smtp.grammar import (
    Refusal,
    decode_orcpt,
    decode_xtext,
    parse_parameters,
    parse_path,
)
from penfold.protocols.smtp.settings import ServerSettings

_Value = str | int | bool
_Reader = Callable[[str | None], _Value]

_NOTIFY = {"SUCCESS": Notify.SUCCESS, "FAILURE": Notify.FAILURE, "DELAY": Notify.DELAY}


def _bad(keyword: str) -> Refusal:
    return Refusal(replies.SYNTAX.with_text(f"Bad {keyword} parameter"))


def _size(value: str | None) -> int:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise _bad("SIZE")
    return int(value)


def _body(value: str | None) -> str:
    name = (value or "").upper()
    if name not in {BodyType.SEVEN, BodyType.EIGHT, BodyType.BINARY}:
        raise _bad("BODY")
    return name


def _smtputf8(value: str | None) -> bool:
    if value is not None:
        raise _bad("SMTPUTF8")
    return True


def _ret(value: str | None) -> str:
    name = (value or "").upper()
    if name not in {Return.FULL, Return.HEADERS}:
        raise _bad("RET")
    return name


def _envid(value: str | None) -> str:
    if not value or len(value) > 100:
        raise _bad("ENVID")
    return decode_xtext(value)


def _auth(value: str | None) -> str:
    if not value:
        raise _bad("AUTH")
    return value if value == "<>" else decode_xtext(value)


def _notify(value: str | None) -> int:
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return int(Notify.NEVER)
    wishes = 0
    for word in words:
        if word not in _NOTIFY:
            raise _bad("NOTIFY")
        wishes |= _NOTIFY[word]
    return wishes


def _orcpt(value: str | None) -> str:
    if not value:
        raise _bad("ORCPT")
    return decode_orcpt(value)


_MAIL_PARAMETERS: Mapping[str, tuple[str, _Reader]] = {
    "SIZE": ("SIZE", _size),
    "BODY": ("8BITMIME", _body),
    "SMTPUTF8": ("SMTPUTF8", _smtputf8),
    "RET": ("DSN", _ret),
    "ENVID": ("DSN", _envid),
    "AUTH": ("AUTH", _auth),
}
_RCPT_PARAMETERS: Mapping[str, tuple[str, _Reader]] = {"NOTIFY": ("DSN", _notify), "ORCPT": ("DSN", _orcpt)}


def parse_mail(argument: bytes, settings: ServerSettings) -> Mail:
    """Read the argument of MAIL; raises Refusal."""
    path, rest, eight_bit = _path(argument, b"FROM:", settings)
    values = _values(rest, _MAIL_PARAMETERS, settings)
    _check_body(str(values.get("BODY", "7BIT")), settings)
    if eight_bit and not values.get("SMTPUTF8"):
        raise Refusal(replies.UTF8_ADDRESS)
    size = int(values.get("SIZE", 0))
    if settings.max_size and size > settings.max_size:
        raise Refusal(replies.TOO_BIG)
    return Mail(
        path,
        size,
        str(values.get("BODY", "7BIT")),
        bool(values.get("SMTPUTF8")),
        str(values.get("RET", "")),
        str(values.get("ENVID", "")),
        str(values.get("AUTH", "")),
    )


def parse_rcpt(argument: bytes, settings: ServerSettings, *, smtputf8: bool) -> Rcpt:
    """Read the argument of RCPT; raises Refusal."""
    path, rest, eight_bit = _path(argument, b"TO:", settings)
    if eight_bit and not smtputf8:
        raise Refusal(replies.UTF8_ADDRESS)
    values = _values(rest, _RCPT_PARAMETERS, settings)
    assert path is not None
    return Rcpt(path, int(values.get("NOTIFY", 0)), str(values.get("ORCPT", "")))


def _path(argument: bytes, prefix: bytes, settings: ServerSettings) -> tuple[Address | None, str, bool]:
    if argument[: len(prefix)].upper() != prefix:
        raise Refusal(replies.SYNTAX.with_text(f"Syntax: {prefix.decode()}<address>"))
    try:
        text = argument[len(prefix) :].decode()
    except UnicodeDecodeError:
        raise Refusal(replies.UTF8_ADDRESS) from None
    sender = prefix == b"FROM:"
    path, rest = parse_path(text, sender=sender, strict=settings.strict_paths, unqualified=settings.unqualified)
    return path, rest, not text[: len(text) - len(rest)].isascii()


def _values(text: str, table: Mapping[str, tuple[str, _Reader]], settings: ServerSettings) -> dict[str, _Value]:
    if not text:
        return {}
    values: dict[str, _Value] = {}
    for keyword, value in parse_parameters(text).items():
        extension, reader = table.get(keyword, ("", None))
        if reader is None or not _offered(extension, settings):
            raise Refusal(replies.UNKNOWN_PARAMETER.with_text(f"Unsupported option: {keyword[:40]}"))
        values[keyword] = reader(value)
    return values


def _offered(extension: str, settings: ServerSettings) -> bool:
    # SIZE and AUTH= do no harm where they were not announced, and clients send them from memory.
    return extension in {"SIZE", "AUTH"} or extension in settings.extensions


def _check_body(body: str, settings: ServerSettings) -> None:
    if body == BodyType.BINARY and not {"BINARYMIME", "CHUNKING"} <= settings.extensions:
        raise Refusal(replies.UNKNOWN_PARAMETER.with_text("BINARYMIME is not offered"))


def parse_bdat(argument: bytes) -> tuple[int, bool]:
    """Read the argument of BDAT: octets to come, and whether they are the last."""
    words = argument.split()
    if not words or len(words) > 2 or not words[0].isdigit() or len(words[0]) > 20:
        raise Refusal(replies.SYNTAX.with_text("Syntax: BDAT octets [LAST]"))
    if len(words) == 2 and words[1].upper() != b"LAST":
        raise Refusal(replies.SYNTAX.with_text("Syntax: BDAT octets [LAST]"))
    return int(words[0]), len(words) == 2


XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")


def parse_xclient(argument: bytes) -> dict[str, str]:
    """Read the attributes of XCLIENT (https://www.postfix.org/XCLIENT_README.html)."""
    attributes: dict[str, str] = {}
    try:
        words = argument.decode().split()
    except UnicodeDecodeError:
        raise Refusal(replies.SYNTAX) from None
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name.upper() not in XCLIENT_ATTRIBUTES:
            raise Refusal(replies.SYNTAX.with_text("Bad XCLIENT attribute"))
        text = decode_xtext(value)
        attributes[name.upper()] = "" if text in {"[UNAVAILABLE]", "[TEMPUNAVAIL]"} else text
    if not attributes:
        raise Refusal(replies.SYNTAX.with_text("Bad XCLIENT attribute"))
    return attributes
