"""Picks up what ``sendmail`` left in ``maildrop/`` while no daemon ran.

Looked at as role queue begins, every ten seconds, and when the queue is flushed. A file must be a regular one with one
link, within the size limit, whole (a final ``0``), and its owner is the sender. Then it goes through the door like any
other mail, and its name is removed after the queue holds it durably. What is not mail, or is refused for good, is moved
to ``maildrop-refused/`` with an event; whoever left it is told, where that is possible. What is refused for now stays.

Trust: every name, file and octet is a local user's.
CRASH: between durable acceptance and the removal of the name the message may be taken twice; both events name the same
drop, so that duplicates can be counted. It is never lost.
"""

import asyncio
import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Sequence

from penfold.message.trace import format_date
from penfold.model import Address, Envelope, MailError, Origin, Recipient, Reply
from penfold.service.opener import Opener
from penfold.telemetry import events
from penfold.telemetry.escape import visible
from penfold.transport.receive.pickup import BROKEN, Caller, LocalHouse, Submission

_PIECE = 1 << 20
_HEAD_ROOM = 2 << 20  # octets a drop may be larger than its message: head and lengths
_ABANDONED = 86400.0  # seconds after which a file that never got its name was left by a program that died

_HOPELESS = frozenset({errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG})


class NoDropError(Exception):
    """This is no mail; the message says why."""


class Maildrop:
    """The directory, and the way from there into the queue."""

    def __init__(
        self,
        directory: str,
        set_aside: str,
        opener: Opener,
        house: LocalHouse,
        caller_of: Callable[[int], Caller],
        recorder: events.Recorder,
    ) -> None:
        self._directory = directory
        self._set_aside = set_aside
        self._open = opener
        self._house = house
        self._caller_of = caller_of
        self._recorder = recorder
        self._turn = asyncio.Lock()
        self._stuck: set[str] = set()

    async def sweep(self) -> int:
        """Take in all that lies there; the number of messages taken."""
        async with self._turn:
            names = await asyncio.to_thread(self._names)
            return sum([await self._take(name) for name in names])

    def _names(self) -> list[str]:
        """List what to look at, oldest first."""
        now, found = time.time(), []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._directory) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    changed = entry.stat(follow_symlinks=False).st_mtime
                    if not entry.name.startswith(".") or changed < now - _ABANDONED:
                        found.append((changed, entry.name))
        return [name for _, name in sorted(found) if name not in self._stuck]

    async def _take(self, name: str) -> bool:
        try:
            if name.startswith("."):
                raise NoDropError("a program died while it wrote this")
            descriptor = await asyncio.to_thread(self._opened, name)
        except FileNotFoundError:
            return False
        except (NoDropError, OSError) as error:
            if isinstance(error, NoDropError) or error.errno in _HOPELESS:
                await self._refuse(name, str(error))
            return False  # whatever else it is may be otherwise at the next look
        try:
            return await self._submit(name, descriptor)
        finally:
            os.close(descriptor)

    def _opened(self, name: str) -> int:
        descriptor = self._open(name)
        try:
            self._check(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self, found: os.stat_result) -> None:
        """SECURITY: a hard link could be another user's file, anything irregular could be anything."""
        if not stat.S_ISREG(found.st_mode):
            raise NoDropError("no regular file")
        if found.st_nlink != 1:
            raise NoDropError(f"it has {found.st_nlink} names")
        if found.st_size > self._house.door.limits.size + _HEAD_ROOM:
            raise NoDropError(f"{found.st_size} octets are over the limit")

    async def _submit(self, name: str, descriptor: int) -> bool:
        caller = self._caller_of(os.fstat(descriptor).st_uid)
        submission = Submission(self._house, caller, f"maildrop/{name}")
        await self._feed(submission, descriptor)
        replies = await submission.finish()
        final = replies[-1]
        if final.positive:
            await asyncio.to_thread(self._remove, name, descriptor)
            return True
        if final.permanent:
            kept = await self._refuse(name, str(final))
            if final.status != BROKEN.status:  # no sendmail of ours left half a message: nobody to tell
                await self._tell(caller, kept, replies)
        return False

    async def _feed(self, submission: Submission, descriptor: int) -> None:
        most = self._house.door.limits.size + _HEAD_ROOM
        while not submission.over and most > 0:
            piece = await asyncio.to_thread(os.read, descriptor, _PIECE)
            if not piece:
                break
            most -= len(piece)
            submission.feed(piece)
        if not submission.over:
            submission.eof()

    def _remove(self, name: str, descriptor: int) -> None:
        """Remove the name, unless its owner has meanwhile given it to another file."""
        path = os.path.join(self._directory, name)
        with contextlib.suppress(OSError):
            if os.lstat(path).st_ino == os.fstat(descriptor).st_ino:
                os.unlink(path)
                return
        if os.path.lexists(path):
            self._stuck.add(name)
            self._trouble(f"{name} was sent and can't be removed")

    async def _refuse(self, name: str, why: str) -> str:
        """Set it aside under a name nobody else chose; what can't even be moved is not looked at again."""
        kept = f"{time.time_ns():x}-{name.lstrip('.')[:200]}"
        try:
            await asyncio.to_thread(os.rename, os.path.join(self._directory, name), os.path.join(self._set_aside, kept))
            self._trouble(f"{visible(name)} is not sent: {why}; it is kept as {self._set_aside}/{visible(kept)}")
        except FileNotFoundError:
            return name
        except OSError as error:
            self._stuck.add(name)
            self._trouble(f"{visible(name)} is not sent: {why}; it can't be moved: {error.strerror}")
        return kept

    def _trouble(self, detail: str) -> None:
        self._recorder.record(events.Trouble(at=time.time(), where="maildrop", detail=detail))

    async def _tell(self, caller: Caller, name: str, replies: Sequence[Reply]) -> None:
        """Write to whoever left it."""
        house, now = self._house, self._house.door.clock()
        to = Address(caller.name, house.domain)
        text = _note(house, to, name, replies, now)
        envelope = Envelope(None, now, len(text), Origin("local", session=f"maildrop/{name}"))
        try:
            await house.door.submit(envelope, (Recipient(to),), (text,))
        except MailError as error:
            self._trouble(f"{caller.name} could not be told about {name}: {error}")


def _note(house: LocalHouse, to: Address, name: str, replies: Sequence[Reply], now: float) -> bytes:
    lines = [
        f"From: Mail delivery <postmaster@{house.domain}>",
        f"To: <{visible(str(to))}>",
        "Subject: Your message was not sent",
        f"Date: {format_date(now)}",
        f"Message-ID: <{house.new_id()}@{house.hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"A message that you gave to sendmail on {house.hostname} while the mail system was not",
        "running could not be sent afterwards:",
        "",
        *(f"    {visible(str(reply))}" for reply in replies),
        "",
        f"The administrator finds it under the name {name}.",
        "",
    ]
    return "\r\n".join(lines).encode()
