"""The table ``include``: the members of a list file, and whose list it is.

The key is the path. ``Found.source`` names the owner of the file, because programs and files named in it get the rights
of that user and no more; a file of the administrator (root, or whoever runs us without root) says ``root``.

SECURITY: the file must be regular, writable by its owner alone, and stand in directories that nobody else can write to
(sticky ones excepted); it is opened without following a link in the last component and without waiting for a FIFO's
writer. Anything else is "not now", never an empty list: mail waits until the file is mended.

Trust: users' own files; anything may stand in them.
"""

import asyncio
import os
import pwd
import stat
from collections.abc import Callable

from penfold.model import Reply
from penfold.routing.base import Answer, Found, NotNow
from penfold.routing.entries import Discard, entry_text
from penfold.routing.forward import ForwardError, parse_forward

ADMINISTRATOR = "root"
MAX_LIST = 1 << 20  # octets
NOBODY = (entry_text(Discard()),)  # a list without members is no error: its mail goes to nobody
_CANNOT = Reply.of(451, "4.3.5", "A list here cannot be read")


class UnsafeFileError(Exception):
    """The file must not be used; the message says why, for the log."""


class IncludeTable:
    """List files, read at every look-up, in a thread. ``report`` hears (path, reason) of every file not usable."""

    name = "include"

    def __init__(
        self,
        *,
        administrators: frozenset[int] | None = None,
        limit: int = MAX_LIST,
        report: Callable[[str, str], None] | None = None,
    ) -> None:
        self.administrators = administrators if administrators is not None else frozenset({0, os.geteuid()})
        self.limit = limit
        self._report = report or _silence

    async def lookup(self, key: str) -> Answer:
        """Answer for the path of a list."""
        return await asyncio.to_thread(self.read, key)

    def read(self, path: str) -> Answer:
        """Read a list; blocking."""
        try:
            data, uid = read_safely(path, self.limit)
            owner = ADMINISTRATOR if uid in self.administrators else pwd.getpwuid(uid).pw_name
        except (OSError, UnsafeFileError, KeyError, ValueError) as error:
            return self._unusable(path, str(error))
        try:
            members = parse_forward(data)
        except ForwardError as error:
            return self._unusable(path, str(error))
        return Found(tuple(map(entry_text, members)) or NOBODY, owner)

    def _unusable(self, path: str, reason: str) -> NotNow:
        self._report(path, reason)
        return NotNow(_CANNOT)


def _silence(_path: str, _reason: str) -> None:
    """Nobody wants to hear."""


def read_safely(path: str, limit: int, *, one_link: bool = False) -> tuple[bytes, int]:
    """Read a file of at most ``limit`` octets that only its owner can change; gives the octets and the owner's uid.

    With ``one_link`` a file that has a second name is refused.

    Raises OSError and UnsafeFileError.
    """
    if not path.startswith("/"):
        raise UnsafeFileError("not a full path")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        _check_file(facts, limit)
        if one_link and facts.st_nlink != 1:
            raise UnsafeFileError("it has more than one link")
        _check_directories(os.path.dirname(os.path.realpath(path)), facts.st_uid)
        return _read_all(descriptor, limit), facts.st_uid
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, limit: int) -> bytes:
    pieces, left = [], limit + 1
    while left and (piece := os.read(descriptor, left)):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise UnsafeFileError(f"longer than {limit} octets")
    return b"".join(pieces)


def _check_file(facts: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise UnsafeFileError("not a regular file")
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeFileError("writable by others than its owner")
    if facts.st_size > limit:
        raise UnsafeFileError(f"longer than {limit} octets")


def _check_directories(path: str, owner: int) -> None:
    while True:
        facts = os.lstat(path)
        loose = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not facts.st_mode & stat.S_ISVTX
        if loose or facts.st_uid not in {0, owner, os.geteuid()}:
            raise UnsafeFileError(f"the directory {path} can be changed by others")
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent
