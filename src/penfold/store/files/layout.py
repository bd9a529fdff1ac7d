"""Where the mailboxes of an account lie: names of mailboxes against paths, one way for each format.

``MAILDIR``: INBOX is the Maildir itself, ``a/b`` the folder ``.a.b`` in it (Maildir++). ``MBOX`` and ``MMDF``: INBOX is
a file of its own, ``a/b`` the file ``b`` in the directory ``a`` below the root; a directory is a mailbox that cannot be
selected. ``MH``: ``a/b`` is the directory ``a/b`` below the root, INBOX is ``inbox`` there.

Trust: names have passed ``mailbox_name``; what lies in the directories is the owner's. Links are not followed.
"""

import contextlib
import os
import re
import stat as modes
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from penfold.formats.detect import Format
from penfold.formats.folders import decode, encode, folder_names, folder_path
from penfold.formats.maildir import make_maildir
from penfold.fs.base import FileSystem, Stat
from penfold.store.change import INBOX
from penfold.store.names import MAX_DEPTH, BadName, mailbox_name
from penfold.store.refusal import Refusal
from penfold.store.result import Problem

_MESSAGE: Final = re.compile(r"[1-9]\d{0,8}|,.*")
_LEAF: Final = 2  # links of a directory with none below it, where a file system counts them so


class Place(NamedTuple):
    """Where an account's mail lies: its format, the directory, and for mbox and MMDF the file that is INBOX."""

    format: Format
    root: str
    inbox: str = ""


class Spot(NamedTuple):
    """A mailbox as it was found: its path, whether it can be selected."""

    path: str
    selectable: bool = True


class Layout(Protocol):
    """The mailboxes of an account. ``nested``: each can have others below it, and those above one are made with it."""

    nested: bool

    def spots(self) -> dict[str, Spot]:
        """Find them all, by name."""

    def make(self, name: str) -> None:
        """Make one that is not there, and what must be above it. Raises Refusal, OSError."""

    def remove(self, name: str) -> None:
        """Remove one with its messages; those below it stay."""

    def rename(self, old: str, new: str) -> None:
        """Rename one with all below it."""


class MaildirLayout:
    """Maildir++."""

    nested = True

    def __init__(self, fs: FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root

    def spots(self) -> dict[str, Spot]:
        """Find the Maildir and its folders."""
        found: dict[str, Spot] = {}
        for directory in _names(self._fs, self._root):
            if not directory.startswith(".") or directory.startswith("..") or directory == ".":
                continue
            name = _spelled("/".join(folder_names(directory)))
            if name and name != INBOX and _is_directory(self._fs, f"{self._root}/{directory}/cur"):
                found.setdefault(name, Spot(f"{self._root}/{directory}"))
        if _is_directory(self._fs, f"{self._root}/cur"):
            found[INBOX] = Spot(self._root)
        return found

    def make(self, name: str) -> None:
        """Make a folder."""
        make_maildir(self._fs, self._path(name))

    def remove(self, name: str) -> None:
        """Take the name away at once, then the files."""
        doomed = f"{self._root}/..{os.path.basename(self._path(name))}"
        _remove_tree(self._fs, doomed)
        self._fs.rename(self._path(name), doomed)
        self._fs.sync_directory(self._root)
        _remove_tree(self._fs, doomed)

    def rename(self, old: str, new: str) -> None:
        """Rename the folder and those below. CRASH: some may have the old name still."""
        for name in self.spots():
            if name == old or name.startswith(f"{old}/"):
                self._fs.rename(self._path(name), self._path(new + name[len(old) :]))
        self._fs.sync_directory(self._root)

    def _path(self, name: str) -> str:
        try:
            return folder_path(self._root, name.split("/"))
        except ValueError:
            raise Refusal(Problem.CANNOT, "a Maildir has no folder of that name") from None


class TreeLayout:
    """Directories below one another. ``inbox`` is the path of INBOX, ``files`` whether mailboxes are files."""

    def __init__(self, fs: FileSystem, root: str, inbox: str, *, files: bool) -> None:
        self._fs = fs
        self._root = root
        self._inbox = inbox
        self._files = files
        self.nested = not files

    def spots(self) -> dict[str, Spot]:
        """Find what may be mailboxes: files, or directories."""
        found = {name: spot for name, spot in self._below("", 0) if spot.path != self._inbox and name != INBOX}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = self._fs.stat(self._inbox).mode
            if modes.S_ISREG(mode) if self._files else modes.S_ISDIR(mode):
                found[INBOX] = Spot(self._inbox)
        if self._files and INBOX not in found and _is_directory(self._fs, self._root):
            # Programs remove a spool file that is empty: the mailbox is there nevertheless.
            found[INBOX] = Spot(self._inbox)
        return found

    def _below(self, above: str, depth: int) -> Iterator[tuple[str, Spot]]:
        directory = f"{self._root}/{above}".rstrip("/")
        for each in _names(self._fs, directory):
            if each.startswith(".") or each.endswith(".lock") or (not self._files and _MESSAGE.fullmatch(each)):
                continue
            path = f"{directory}/{each}"
            name = _spelled("/".join(decode(level) for level in f"{above}{each}".split("/")))
            facts = self._stat(path)
            if not name or not facts:
                continue
            if modes.S_ISDIR(facts.mode):
                # PERF: a directory of two links has none below it, and is not listed: a folder may have many messages.
                if self._files or facts.links == _LEAF or self._is_folder(path):
                    yield name, Spot(path, selectable=not self._files)
                if depth < MAX_DEPTH and (self._files or facts.links != _LEAF):
                    yield from self._below(f"{above}{each}/", depth + 1)
            elif self._files and modes.S_ISREG(facts.mode) and self._is_mailbox(path):
                yield name, Spot(path)

    def _is_folder(self, path: str) -> bool:
        """Tell a folder from a directory that only holds others."""
        names = _names(self._fs, path)
        if ".mh_sequences" in names or any(_MESSAGE.fullmatch(each) for each in names):
            return True
        return not any(_is_directory(self._fs, f"{path}/{each}") for each in names)

    def _is_mailbox(self, path: str) -> bool:
        try:
            with contextlib.closing(self._fs.open(path)) as file:
                return file.read_at(0, 5) in {b"", b"From ", b"\x01\x01\x01\x01\n"}
        except OSError:
            return False

    def _stat(self, path: str) -> Stat | None:
        try:
            return self._fs.stat(path)
        except FileNotFoundError:
            return None

    def make(self, name: str) -> None:
        """Make a file or a directory."""
        path = self._path(name)
        try:
            _make_above(self._fs, path)
            if name == INBOX:
                _make_above(self._fs, f"{self._root}/x")
            if self._files:
                self._fs.create(path).close()
            else:
                self._make_folder(path)
        except (NotADirectoryError, FileExistsError):
            raise Refusal(Problem.CANNOT, "a mailbox of this format has no others below it") from None
        self._fs.sync_directory(os.path.dirname(path))

    def _make_folder(self, path: str) -> None:
        """Make a directory, or make a folder of one that holds others only: sequences make the difference."""
        with contextlib.suppress(FileExistsError):
            self._fs.mkdir(path)
        self._fs.create(f"{path}/.mh_sequences").close()
        self._fs.sync_directory(path)

    def remove(self, name: str) -> None:
        """Remove a file; of a directory what are messages, and itself if there are no others below it."""
        path = self._path(name)
        facts = self._stat(path)
        if facts and not modes.S_ISDIR(facts.mode):
            self._fs.unlink(path)
        elif self._files:
            try:
                self._fs.rmdir(path)
            except OSError:
                raise Refusal(Problem.CANNOT, "there are mailboxes below it") from None
        else:
            for each in _names(self._fs, path):
                if _MESSAGE.fullmatch(each) or each.startswith("."):
                    with contextlib.suppress(OSError):
                        self._fs.unlink(f"{path}/{each}")
            with contextlib.suppress(OSError):
                self._fs.rmdir(path)
        self._fs.sync_directory(os.path.dirname(path))

    def rename(self, old: str, new: str) -> None:
        """Rename a file or a directory."""
        source, target = self._path(old), self._path(new)
        try:
            _make_above(self._fs, target)
        except NotADirectoryError:
            raise Refusal(Problem.CANNOT, "a mailbox of this format has no others below it") from None
        self._fs.rename(source, target)
        for path in {os.path.dirname(source), os.path.dirname(target)}:
            self._fs.sync_directory(path)

    def _path(self, name: str) -> str:
        if name == INBOX:
            return self._inbox
        levels = [encode(level) for level in name.split("/")]
        if any(level.startswith(".") or (not self._files and _MESSAGE.fullmatch(level)) for level in levels):
            raise Refusal(Problem.CANNOT, "names with a dot at the front, or of digits, are no mailboxes here")
        return "/".join((self._root, *levels))


def layout_of(fs: FileSystem, place: Place) -> Layout:
    """Give the layout of a place."""
    if place.format is Format.MAILDIR:
        return MaildirLayout(fs, place.root)
    if place.format is Format.MH:
        return TreeLayout(fs, place.root, place.inbox or f"{place.root}/inbox", files=False)
    return TreeLayout(fs, place.root, place.inbox or f"{place.root}/inbox", files=True)


def _make_above(fs: FileSystem, path: str) -> None:
    above = os.path.dirname(path)
    with contextlib.suppress(FileExistsError):
        try:
            fs.mkdir(above)
        except FileNotFoundError:
            _make_above(fs, above)
            fs.mkdir(above)
        fs.sync_directory(os.path.dirname(above) or ".")


def _spelled(name: str) -> str:
    """Give the one spelling of a name, ``""`` for what can be none."""
    try:
        return mailbox_name(name)
    except BadName:
        return ""


def _names(fs: FileSystem, directory: str) -> list[str]:
    try:
        return fs.names(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_directory(fs: FileSystem, path: str) -> bool:
    try:
        return modes.S_ISDIR(fs.stat(path).mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _remove_tree(fs: FileSystem, path: str) -> None:
    """Remove a folder; one level of directories is all there can be in one of ours."""
    for name in _names(fs, path):
        inner = f"{path}/{name}"
        if _is_directory(fs, inner):
            for each in _names(fs, inner):
                with contextlib.suppress(OSError):
                    fs.unlink(f"{inner}/{each}")
            with contextlib.suppress(OSError):
                fs.rmdir(inner)
        else:
            with contextlib.suppress(OSError):
                fs.unlink(inner)
    with contextlib.suppress(OSError):
        fs.rmdir(path)
