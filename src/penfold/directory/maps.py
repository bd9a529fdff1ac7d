"""Text tables ``key value``: ``virtual`` (virtual users and catch-alls) and ``transport``.

A line is a key, white space, a value; ``#`` begins a comment line; a line that begins with white space continues the
one before it. Keys of ``virtual``: ``user@domain`` or ``@domain``; values are addresses parted by commas, ``@domain``
or ``%1@domain`` for the same user there, or ``error:`` with a reply. Keys of ``transport``: ``user@domain``,
``domain``, ``.domain``, ``*``; values are those of ``routing.transport``.

Trust: administrators' files.
"""

import re
from collections.abc import Callable, Iterator

from penfold.directory.base import MISSING
from penfold.directory.watched import Report, WatchedFile
from penfold.model import Address, AddressError, ConfigError, Reply, ascii_domain, parse_address
from penfold.routing.aliases import entry_lines, parse_rhs
from penfold.routing.base import Answer, Found
from penfold.routing.entries import AliasError, Fail, To, entry_text
from penfold.routing.rules import BAD_TABLE, RouterSettings
from penfold.routing.transport import parse_transport

_SAME_USER = re.compile(r"(%1)?@(\S+)\Z")


class TextMap:
    """A text table; a bad new version of the file is reported and not used."""

    def __init__(
        self,
        name: str,
        path: str,
        read: Callable[[str, str], dict[str, Answer]],
        *,
        report: Report | None = None,
        interval: float = 1.0,
    ) -> None:
        self.name = name
        self.file = WatchedFile(path, read, report=report, interval=interval)

    def lookup(self, key: str) -> Answer:
        """Answer for one key in canonical form."""
        return self.file.current().get(key, MISSING)


def virtual_file(path: str, *, report: Report | None = None, interval: float = 1.0) -> TextMap:
    """Open a file as the table ``virtual``. Raises ConfigError."""
    return TextMap("virtual", path, read_virtual, report=report, interval=interval)


def transport_file(path: str, *, report: Report | None = None, interval: float = 1.0) -> TextMap:
    """Open a file as the table ``transport``. Raises ConfigError."""
    return TextMap("transport", path, read_transport, report=report, interval=interval)


def map_lines(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    """Give (line number, key, value) of every entry. Raises ConfigError."""
    for number, line in entry_lines(text, path, "a key"):
        key, _, value = line.replace("\t", " ").partition(" ")
        if not value.strip():
            raise ConfigError(
                f"the key {key[:80]!r} has no value", file=path, line=number, hint="write key, space, value"
            )
        yield number, key, value.strip()


def read_virtual(text: str, path: str) -> dict[str, Answer]:
    """Parse a virtual table into answers. Raises ConfigError."""
    return _answers(text, path, _virtual_key, virtual_values)


def read_transport(text: str, path: str) -> dict[str, Answer]:
    """Parse a transport table into answers. Raises ConfigError."""
    return _answers(text, path, _transport_key, _transport_value)


def _answers(
    text: str, path: str, key_of: Callable[[str], str], values_of: Callable[[str], tuple[str, ...]]
) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for number, raw, value in map_lines(text, path):
        try:
            key = key_of(raw)
            if key in answers:
                raise AliasError(f"the key {key} stands above already", "keep one of both lines")
            answers[key] = Found(values_of(value), f"{path}:{number}")
        except AliasError as error:
            raise ConfigError(str(error), file=path, line=number, hint=error.hint) from None
        except AddressError as error:
            raise ConfigError(f"{raw[:80]!r}: {error}", file=path, line=number, hint="write a domain name") from None
    return answers


def _virtual_key(key: str) -> str:
    if key.startswith("@"):
        return "@" + ascii_domain(key[1:])
    address = parse_address(key)
    if not address.domain:
        raise AliasError(
            f"{key[:80]!r} has no domain", "write user@domain or @domain; names without a domain belong into aliases"
        )
    return f"{address.local.lower()}@{address.domain}"


def virtual_values(value: str) -> tuple[str, ...]:
    """Read the value of a virtual user into entries in canonical text. Raises AliasError."""
    same = _SAME_USER.match(value)
    if same is not None:
        return ("%1@" + _domain(same[2]),)
    entries = parse_rhs(value)
    if not entries or not all(isinstance(entry, To | Fail) for entry in entries):
        raise AliasError(
            "a virtual user stands for addresses only", "name an alias here, and the program or file there"
        )
    return tuple(map(entry_text, entries))


def _domain(text: str) -> str:
    try:
        return ascii_domain(text)
    except AddressError as error:
        raise AliasError(str(error), "write @domain for the same user at another domain") from None


def _transport_key(key: str) -> str:
    if key == "*":
        return key
    if key.startswith("."):
        return "." + ascii_domain(key[1:])
    return _virtual_key(key) if "@" in key else ascii_domain(key)


def _transport_value(value: str) -> tuple[str, ...]:
    read = parse_transport(value, Address("user", "example.test"), RouterSettings())
    if isinstance(read, Reply) and read == BAD_TABLE:
        raise AliasError(f"{value[:80]!r} is no transport", "write mailer:host, as smtp:[mail.example.net]:25")
    return (value,)
