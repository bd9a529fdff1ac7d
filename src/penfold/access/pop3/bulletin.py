"""Bulletins: a directory of messages that every account gets once, as Qpopper's ``-b`` has it.

A bulletin is a file named by a number, a dot and any word (``00012.maintenance``), a message with or without mbox's
``From`` line in front. An account gets those with a greater number than the last it got; one that never got any begins
with the newest few. Whoever writes a bulletin writes it under another name first and renames it.

The directory is looked at, in a thread, at most every so many seconds, and what it holds is kept: bulletins are few.

Standards: https://web.archive.org/web/2011/http://www.eudora.com/products/unsupported/qpopper/ (-b); RFC 5322 §3.6
Trust: the directory is the administrator's; what is no plain file, too large or not to be read is passed over.
"""

import contextlib
import os
import re
import stat
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from penfold.access.pop3.office import Bulletin
from penfold.message import complete
from penfold.message.header import facts
from penfold.protocols.dotted import LineEnds

_NAME = re.compile(r"([0-9]{1,9})\.[^/]*[^~]\Z")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST = 100  # bulletins kept: the newest
MAX_OCTETS = 1 << 20


class _Read(NamedTuple):
    mtime: int
    bulletin: Bulletin


class Board:
    """The bulletins in a directory. ``run`` runs a function in a thread; ``clock`` gives monotonic seconds.

    ``newest`` is how many an account gets that never got any; ``rest`` seconds lie between two looks.
    """

    def __init__(
        self,
        path: str,
        *,
        hostname: str,
        run: Callable[[Callable[[], None]], Awaitable[None]],
        clock: Callable[[], float],
        newest: int = 10,
        rest: float = 30.0,
    ) -> None:
        self._path = path
        self._hostname = hostname
        self._run = run
        self._clock = clock
        self._newest = newest
        self._rest = rest
        self._looked: float | None = None
        self._known: dict[str, _Read] = {}
        self._bulletins: tuple[Bulletin, ...] = ()

    async def after(self, number: int | None) -> Sequence[Bulletin]:
        """Give those after ``number``, in order; None is an account that never got any."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._rest:
            self._looked = now
            await self._run(self._look)
        if number is None:
            return self._bulletins[-self._newest :] if self._newest else ()
        return tuple(bulletin for bulletin in self._bulletins if bulletin.number > number)

    def _look(self) -> None:
        """Read what is new; a directory that cannot be read leaves all as it was."""
        with contextlib.suppress(OSError):
            names = sorted((int(found[1]), name) for name in os.listdir(self._path) if (found := _NAME.match(name)))
            known = {}
            for number, name in names[-MOST:]:
                read = self._read(number, name)
                if read is not None:
                    known[name] = read
            self._known = known
            self._bulletins = tuple({read.bulletin.number: read.bulletin for read in known.values()}.values())

    def _read(self, number: int, name: str) -> _Read | None:
        with contextlib.suppress(OSError):
            descriptor = os.open(os.path.join(self._path, name), _FLAGS)
            with open(descriptor, "rb") as file:
                shape = os.fstat(descriptor)
                if not stat.S_ISREG(shape.st_mode) or not 0 < shape.st_size <= MAX_OCTETS:
                    return None
                old = self._known.get(name)
                if old is not None and old.mtime == shape.st_mtime_ns:
                    return old
                content = message(file.read(MAX_OCTETS), number, shape.st_mtime, self._hostname)
                return _Read(shape.st_mtime_ns, Bulletin(number, content))
        return None


def message(octets: bytes, number: int, date: float, hostname: str) -> bytes:
    """Bring a bulletin into wire form, without mbox's first line and with the fields every message has."""
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    ends = LineEnds(convert=True)
    octets = ends.feed(octets) + ends.finish()
    message_id = complete.new_message_id(f"bulletin.{number}.{int(date)}", hostname)
    return complete.missing_fields(facts(octets), date=date, message_id=message_id, sender=None) + octets
