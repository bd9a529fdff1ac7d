"""``.forward``: where a person lets mail go instead of the mailbox.

The file is read as that person left it, and only if nobody else could have written it. What it names gets that person's
rights and no more; a virtual user, who has no rights on this machine, may name addresses only.

For ``user+extension``, a Unix user's ``.forward+extension`` is asked first. Lists of the user's own
(``:include:``) are read here, with that user's eyes: whoever routes mail may not look into homes.

Standards: sendmail's aliases and .forward; RFC 5321 §3.9.1
Trust: the content is a user's. SECURITY: no symbolic link is followed, the file must be regular, have one link, belong
to the account's owner (or root), and be writable by nobody else; a Unix user's also stands in directories that nobody
else can change, and is judged by the descriptor that is read, so that swapping it is of no use.
"""

import errno
import re
import stat
from collections.abc import Iterable, Iterator

import msgspec

from penfold.directory.base import Account
from penfold.directory.include import UnsafeFileError, read_safely
from penfold.fs.base import FileSystem
from penfold.model import Address, Expanded, Recipient, Reply, Transient, failure, from_os_error
from penfold.routing.entries import Entry, File, Include, Program
from penfold.routing.expand import children, lower
from penfold.routing.forward import ForwardError, parse_forward

MAX_SIZE = 64 * 1024  # octets
MAX_LISTS = 20  # own lists read for one message
_EXTENSION = re.compile(r"[0-9a-z_=-][0-9a-z_=.-]{0,63}")
_UNSAFE = Reply.of(451, "4.7.0", "The .forward file is not safe: its owner or its mode is wrong")
_TOO_LARGE = Reply.of(451, "4.3.5", "The .forward file is too large")
_NO_PROGRAMS = Reply.of(451, "4.3.5", "The .forward of a virtual user may name addresses only")
_BAD = Reply.of(451, "4.3.5", "The .forward file has an error")


class ForwardFiles:
    """Reads the ``.forward`` in a Unix user's home, or ``MAILBOX.forward`` beside the mailbox of a virtual user."""

    def __init__(self, fs: FileSystem, *, uid: int) -> None:
        self._fs = fs
        self._uid = uid

    def follow(self, account: Account, recipient: Recipient, extension: str = "") -> Expanded | None:
        """Give the recipients that replace this one; None where there is no file, or it says to keep the mail here.

        ``extension`` is what the address has after its separator.

        Raises Transient (451) for a file that is unsafe or in error: mail waits until its owner mends it. Raises the
        error of a refusing entry (``error:``).
        """
        own = lower(recipient.address)
        if recipient.parents and recipient.parents[-1] == own:
            return None  # \\user, or a .forward that names its own mailbox beside others
        unix = account.kind == "unix"
        data = self._read_own(account, extension) if unix else self._read(account)
        if data is None:
            return None
        entries = _parsed(data)
        if unix:
            entries = tuple(_with_lists(entries, account.uid, iter(range(MAX_LISTS))))
        elif any(isinstance(entry, Program | File | Include) for entry in entries):
            raise Transient(_NO_PROGRAMS)
        if not entries:
            return None
        home = account.id.rpartition("@")[2] if not unix else recipient.address.domain
        replaced = children(recipient, entries, home=home, rights=account.id if unix else "")
        if isinstance(replaced, Reply):
            raise failure(replaced)
        return Expanded(tuple(_keep_own(child, own) for child in replaced), via=".forward")

    def _read(self, account: Account) -> bytes | None:
        path = f"{account.path}.forward"
        try:
            facts = self._fs.stat(path)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(facts.mode) or facts.links != 1 or facts.uid not in {0, self._uid} or facts.mode & 0o022:
            raise Transient(_UNSAFE)
        if facts.size > MAX_SIZE:
            raise Transient(_TOO_LARGE)
        return self._fs.read(path)

    def _read_own(self, account: Account, extension: str) -> bytes | None:
        """Read a Unix user's file; we run as that user."""
        if not account.home:
            return None
        if _EXTENSION.fullmatch(extension.lower()):
            data = _own(f"{account.home}/.forward+{extension.lower()}", {0, account.uid})
            if data is not None:
                return data
        return _own(f"{account.home}/.forward", {0, account.uid})


def _own(path: str, owners: set[int]) -> bytes | None:
    """Read a file that belongs to one of ``owners`` and that only they can have written; None where there is none."""
    try:
        data, uid = read_safely(path, MAX_SIZE, one_link=True)
    except FileNotFoundError:
        return None
    except UnsafeFileError as error:
        raise Transient(_UNSAFE.with_text(f"{_UNSAFE.text}: {error}")) from None
    except OSError as error:
        raise Transient(_unreadable(error)) from None
    if uid not in owners:
        raise Transient(_UNSAFE.with_text(f"{_UNSAFE.text}: it belongs to another user"))
    return data


def _unreadable(error: OSError) -> Reply:
    if error.errno == errno.ELOOP:
        return _UNSAFE.with_text(f"{_UNSAFE.text}: it is a symbolic link")
    return from_os_error(error).with_text(f"The .forward file cannot be read: {error.strerror}")


def _parsed(data: bytes) -> tuple[Entry, ...]:
    try:
        return parse_forward(data)
    except ForwardError as error:
        raise Transient(_BAD.with_text(f"{_BAD.text}: {error}")) from None


def _with_lists(entries: Iterable[Entry], uid: int, allowance: Iterator[int]) -> Iterator[Entry]:
    """Put the members of the user's own lists into their places; ``allowance`` bounds how many lists are read."""
    for entry in entries:
        if not isinstance(entry, Include):
            yield entry
            continue
        if next(allowance, None) is None:
            raise Transient(_BAD.with_text(f"{_BAD.text}: more than {MAX_LISTS} lists, or a list that names itself"))
        data = _own(entry.path, {uid})
        if data is None:
            raise Transient(_BAD.with_text(f"{_BAD.text}: there is no list {entry.path}"))
        yield from _with_lists(_parsed(data), uid, allowance)


def _keep_own(child: Recipient, own: Address) -> Recipient:
    """Mark a child that is the account itself as final: it goes to the mailbox, not round again."""
    if lower(child.address) != own or child.parents[-1:] == (own,):
        return child
    return msgspec.structs.replace(child, parents=(*child.parents, own))
