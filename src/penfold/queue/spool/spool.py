"""The whole spool in one process: custodian, intake writer, bodies and orders, wired by direct calls."""

import os
import time
from collections.abc import Callable

from penfold.fs.base import FileSystem
from penfold.fs.posix import PosixFileSystem
from penfold.fs.thread import Inline, Thread
from penfold.queue.spool.bodies import SpoolBodies
from penfold.queue.spool.custodian import Custodian
from penfold.queue.spool.line import WINDOW
from penfold.queue.spool.orders import SpoolAdmin
from penfold.queue.spool.recovery import open_custodian
from penfold.queue.spool.shelf import SEGMENT_LIMIT, DirectSource, Room
from penfold.queue.spool.writer import SPILL, IntakeWriter


class Spool:
    """All faces of one spool: ``queue``, ``custody``, ``bodies``, ``admin``."""

    def __init__(self, queue: IntakeWriter, custody: Custodian, bodies: SpoolBodies, admin: SpoolAdmin) -> None:
        self.queue = queue
        self.custody = custody
        self.bodies = bodies
        self.admin = admin

    async def close(self) -> None:
        """Finish what waits, make it durable, let go of every file."""
        await self.queue.close()
        await self.custody.close()
        self.bodies.close()


def open_spool(
    root: str,
    *,
    fs: FileSystem | None = None,
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = os.urandom,
    report: Callable[[str], None] = lambda _: None,
    worker: str = "A",
    threads: bool = True,
    vfs: str | None = None,
    window: int = WINDOW,
    limit: int = SEGMENT_LIMIT,
    spill: int = SPILL,
    reserve: int | None = None,
) -> Spool:
    """Open or make the spool at ``root``; on a running loop.

    ``reserve`` is the room in octets to be left on the disk (default: the greater of 64 MiB and 2 % of what is free
    now); ``window`` the recipients of ready work in memory; ``threads`` False does everything in the caller, for tests.
    Raises ConfigError when the tree is not ours or too new, OSError.
    """
    fs = fs or PosixFileSystem()
    thread = Thread("penfold-index") if threads else Inline()
    custodian = open_custodian(
        fs, root, thread, clock=clock, random=random, report=report, vfs=vfs, window=window, limit=limit
    )
    source = DirectSource(custodian.shelf, thread, Room(fs, root, clock, reserve), worker)
    writer = IntakeWriter(source, custodian.published, custodian, worker=worker, spill=spill, threads=threads)
    return Spool(writer, custodian, SpoolBodies(fs, root), SpoolAdmin(custodian.holdings, clock))
