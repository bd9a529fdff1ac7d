r"""What an alias may stand for: entries, and the canonical text in which tables hold them.

An entry is marked by its first character: ``|command``, ``/file``, ``:include:/list``, ``\user`` (no further alias or
``.forward``), ``error:text`` and ``:fail: text``, ``:defer: text``, ``:blackhole:``; everything else is an address.
Canonical text is unquoted and unambiguous: what a file meant is decided once, when it is read.

SECURITY: programs and files are not addresses. As a recipient they live in domains no address can have (``|``, ``/``,
``:include:``; ``parse_address`` refuses them), so that no text from a network can ever name one.

Trust: administrators' tables, and users' own files, which may hold anything.
"""

from collections.abc import Callable

import msgspec

from penfold.model import Address, AddressError, Reply, parse_address
from penfold.routing.status import parse_error

PROGRAM_DOMAIN = "|"
FILE_DOMAIN = "/"
INCLUDE_DOMAIN = ":include:"
TARGET_DOMAINS = frozenset({PROGRAM_DOMAIN, FILE_DOMAIN, INCLUDE_DOMAIN})


class AliasError(ValueError):
    """The text is no right-hand side; the message says why. ``hint`` says what to write instead."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


class To(msgspec.Struct, frozen=True, array_like=True):
    r"""An address, perhaps unqualified; ``final`` for ``\user``: no further alias and no ``.forward``."""

    address: Address
    final: bool = False


class Program(msgspec.Struct, frozen=True, array_like=True):
    """A command line."""

    command: str


class File(msgspec.Struct, frozen=True, array_like=True):
    """A file (or, with a slash at the end, a Maildir) to append to."""

    path: str


class Include(msgspec.Struct, frozen=True, array_like=True):
    """A list of further entries in a file."""

    path: str


class Fail(msgspec.Struct, frozen=True, array_like=True):
    """The address is refused with this reply, 5yz or 4yz."""

    reply: Reply


class Discard(msgspec.Struct, frozen=True, array_like=True):
    """The mail is thrown away."""


Entry = To | Program | File | Include | Fail | Discard


def target_address(entry: Program | File | Include) -> Address:
    """Write a program, file or list as the address of a recipient, in a domain that no parsed address can have."""
    match entry:
        case Program(command):
            return Address(command, PROGRAM_DOMAIN)
        case File(path):
            return Address(path, FILE_DOMAIN)
        case Include(path):
            return Address(path, INCLUDE_DOMAIN)


def entry_text(entry: Entry) -> str:
    """Write an entry in the canonical text of tables."""
    match entry:
        case To(address, final):
            return ("\\" if final else "") + address_text(address)
        case Program(command):
            return "|" + command
        case File(path):
            return path
        case Include(path):
            return ":include:" + path
        case Fail(reply):
            return f"error:{reply.status}:{reply.code} {reply.text}"
        case Discard():
            return ":blackhole:"


def address_text(address: Address) -> str:
    """Write an address so that ``parse_entry`` reads an address again, whatever its local part begins with."""
    text = str(address)
    if text[0] in "|/" and address.domain:
        quoted = address.local.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{address.domain}'
    return text


def parse_entry(text: str) -> Entry:
    """Read one entry in the canonical text. Raises AliasError."""
    first = text[:1]
    if first == '"':
        return To(to_address(text))
    return marked(text) or To(to_address(text))


def marked(text: str) -> Entry | None:
    """Read an entry that its first character marks as something else than an address."""
    for mark, read in _MARKS:
        if text[: len(mark)].lower() == mark:
            return read(text[len(mark) :])
    return None


def program(rest: str) -> Entry:
    """Read what follows the bar. Raises AliasError."""
    command = rest.strip()
    if not command or "\0" in command or "\n" in command:
        raise AliasError("the command after | is empty or holds a line end", 'write "|/path/program arguments"')
    return Program(command)


def _file(rest: str) -> Entry:
    if "\0" in rest or "\n" in rest:
        raise AliasError("the file name holds a NUL or a line end")
    return File("/" + rest)


def _include(rest: str) -> Entry:
    path = rest.strip()
    if not path.startswith("/") or "\0" in path or "\n" in path:
        raise AliasError("a list must be named by its full path", "write :include:/path/of/the/list")
    return Include(path)


def _final(rest: str) -> Entry:
    return To(to_address(rest), final=True)


def _fail(rest: str) -> Entry:
    return Fail(parse_error(rest.strip(), default=Reply.of(550, "5.1.1", "No such user here")))


def _defer(rest: str) -> Entry:
    return Fail(parse_error(rest.strip(), default=Reply.of(451, "4.3.0", "Not available at the moment")))


_MARKS: tuple[tuple[str, Callable[[str], Entry]], ...] = (
    ("|", program),
    ("/", _file),
    (":include:", _include),
    ("\\", _final),
    ("error:", lambda rest: Fail(parse_error(rest))),
    (":fail:", _fail),
    (":defer:", _defer),
    (":blackhole:", lambda _rest: Discard()),
)


def to_address(text: str) -> Address:
    """Read an address, perhaps unqualified. Raises AliasError."""
    try:
        return parse_address(text)
    except AddressError as error:
        hint = "separate addresses by commas" if " " in text.strip() else 'quote unusual names: "two words"@example.org'
        raise AliasError(f"{text[:80]!r} is no address: {error}", hint) from None
