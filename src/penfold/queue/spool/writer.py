"""The intake writer: takes bodies in, and makes them durable in groups.

One sync thread per log takes all messages that wait, writes their records with one writev, calls fdatasync once, and
answers all of them through one call on the loop. There is no timer: while one group syncs, the next gathers; and a busy
loop first hears out whoever is talking (``thread.WhileBusy``).

Bodies up to ``spill`` octets stay in memory until their record is written; larger ones go to a spare body file, which
is synced before the record that names it is written.

Durability: ``accept`` returns after the record's fdatasync and after custody was told. An append or fdatasync that
fails closes the segment for good; all that waited get a 4yz.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from penfold.fs.record import GROUP, pack
from penfold.fs.thread import Gatherer, Inline, InlineGatherer, Thread, ThreadGatherer, WhileBusy, Worker
from penfold.model import BodyRef, Envelope, MailError, QueueId, Recipient, Transient, from_os_error
from penfold.model.ids import queue_id
from penfold.queue.base import BodyWriter
from penfold.queue.entry import sized
from penfold.queue.spool.grant import NO_ROOM, NOT_NOW, BodyGrant, SegmentGrant, SegmentKeeper, SegmentSource
from penfold.queue.spool.record import Accepted, Meta, Type, encode_meta, message_offset, message_payload

SPILL = 256 * 1024
_PATIENCE = 16  # times SPILL that a body may grow in memory while no body file is at hand


class SpoolBodyWriter:
    """A body on its way in; spills to a body file when it grows."""

    def __init__(self, qid: QueueId, source: SegmentSource, keeper: SegmentKeeper, spill: int) -> None:
        self.id = qid
        self.size = 0
        self.chunks: list[bytes] = []
        self.grant: BodyGrant | None = None
        self.taken = False
        self._source = source
        self._keeper = keeper
        self._spill = spill
        self._hash = hashlib.sha256(usedforsecurity=False)
        self._pending = 0

    def write(self, chunk: bytes) -> None:
        """Append octets. Raises Transient when the disk says no."""
        self.size += len(chunk)
        self._pending += len(chunk)
        self.chunks.append(bytes(chunk))
        if self._pending > self._spill and (self.grant is not None or self._find_file()):
            self._flush()

    def _find_file(self) -> bool:
        """Get a body file. When none is at hand just now, a body that is not huge may wait in memory for one."""
        if not self._source.room():
            raise Transient(NO_ROOM)
        try:
            self.grant = self._source.spare_body()
        except MailError:
            if self._pending > _PATIENCE * self._spill:
                raise
            return False
        except OSError as error:
            raise Transient(from_os_error(error)) from error
        return True

    def _flush(self) -> None:
        try:
            assert self.grant is not None
            self.grant.file.append(self.chunks)
        except OSError as error:
            raise Transient(from_os_error(error)) from error
        for chunk in self.chunks:
            self._hash.update(chunk)
        self.chunks.clear()
        self._pending = 0

    def fits(self, source: SegmentSource) -> bool:
        """Whether this custody can take it over: from memory always, from a file only if it granted that file."""
        return self.grant is None or self._source is source

    def finish(self) -> bytes:
        """Write what is left to the body file and sync it (blocking); gives the SHA-256."""
        assert self.grant is not None
        self._flush()
        self.grant.file.datasync()
        return self._hash.digest()

    def abort(self) -> None:
        """Forget it all, unless the queue took it over."""
        if not self.taken:
            self.drop()

    def drop(self) -> None:
        """Forget it all: nobody will name the body file."""
        self.taken = True
        self.chunks.clear()
        if self.grant is not None:
            self.grant.file.close()
            self._keeper.body_dropped(self.grant.name)


class Waiting:
    """A message in the queue for the next group."""

    __slots__ = ("body", "envelope", "future", "meta", "place", "prefix", "recipients")

    def __init__(
        self,
        envelope: Envelope,
        recipients: tuple[Recipient, ...],
        body: SpoolBodyWriter,
        prefix: bytes,
        meta: bytes,
        future: asyncio.Future[None],
    ) -> None:
        self.envelope = envelope
        self.recipients = recipients
        self.body = body
        self.prefix = prefix
        self.meta = meta
        self.future = future
        self.place: tuple[int, int, BodyRef] | None = None

    @property
    def octets(self) -> list[bytes]:
        """What follows the meta in the record."""
        if self.body.grant is not None:
            return []
        return [self.prefix, *self.body.chunks] if self.prefix else self.body.chunks

    def accepted(self) -> Accepted:
        """The value to publish."""
        assert self.place is not None
        segment, lsn, ref = self.place
        return Accepted(self.body.id, segment, lsn, self.envelope, self.recipients, ref)


class OpenSegment:
    """The segment being written; used by the sync thread alone."""

    def __init__(self, grant: SegmentGrant) -> None:
        self.number = grant.number
        self.end = grant.file.size()
        self._grant = grant
        self._lsn = count(1)

    @property
    def full(self) -> bool:
        """Whether it is time for another."""
        return self.end >= self._grant.limit

    def commit(self, batch: Sequence[Waiting]) -> None:
        """Append and sync a group. Raises OSError: then this segment must not be used again."""
        buffers: list[bytes] = []
        offset = self.end
        flags = GROUP
        for waiting in batch:
            lsn = next(self._lsn)
            octets = waiting.octets
            record = pack(Type.MESSAGE, self._grant.log_id, lsn, message_payload(waiting.meta, octets), flags=flags)
            waiting.place = (self.number, lsn, self._reference(waiting, offset, octets))
            offset += sum(map(len, record))
            buffers += record
            flags = 0
        if self._grant.file.append(buffers) != self.end:
            raise OSError("the segment was written by someone else")
        self._grant.file.datasync()
        self.end = offset

    def _reference(self, waiting: Waiting, offset: int, octets: list[bytes]) -> BodyRef:
        grant = waiting.body.grant
        if grant is not None:
            return BodyRef(grant.name, 0, waiting.body.size, waiting.prefix)
        return BodyRef(self._grant.name, message_offset(offset, waiting.meta), sum(map(len, octets)))

    def close(self) -> None:
        """Give up the descriptor."""
        self._grant.file.close()


class IntakeWriter:
    """The Queue of one intake role. Build and use it on a running loop.

    ``source`` gives segments and body files; ``publish`` tells custody of durable messages, in order, before they are
    answered (it may raise OSError or MailError: custody is gone, and nothing more is promised); ``keeper`` hears of
    closed segments and dropped bodies. ``worker`` is the one letter that heads the queue ids. ``heard`` counts what the
    loop reads; groups wait while it grows.
    """

    def __init__(
        self,
        source: SegmentSource,
        publish: Callable[[Sequence[Accepted]], None],
        keeper: SegmentKeeper,
        *,
        worker: str = "A",
        spill: int = SPILL,
        threads: bool = True,
        heard: Callable[[], int] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._publish = publish
        self._keeper = keeper
        self._worker = worker
        self._spill = spill
        self._threads = threads
        self._count = count(1)
        self._segment: OpenSegment | None = None
        self._id_segment = 0
        self._closed = False
        self._bodies: Worker = Thread("penfold-body", 2) if threads else Inline()
        self._group: Gatherer[Waiting] = (
            ThreadGatherer("penfold-sync", self._commit) if threads else InlineGatherer(self._commit)
        )
        if heard is not None:
            self._group = WhileBusy(self._group, heard)

    @property
    def named(self) -> bool:
        """Whether it has had a segment, so that it can make queue ids without another."""
        return self._id_segment != 0

    def prepare(self) -> None:
        """Take a segment ahead of the first message. Raises Transient when there is none."""
        if not self._id_segment:
            self._begin_segment()

    def begin(self) -> SpoolBodyWriter:
        """Open a body. Raises Transient when there is no room or no segment."""
        if not self._source.room():
            raise Transient(NO_ROOM)
        self.prepare()
        qid = queue_id(self._worker, self._id_segment, next(self._count))
        return SpoolBodyWriter(qid, self._source, self._keeper, self._spill)

    async def accept(
        self, envelope: Envelope, recipients: Sequence[Recipient], body: BodyWriter, prefix: bytes = b""
    ) -> QueueId:
        """Take custody; durable on return. Raises Transient."""
        assert isinstance(body, SpoolBodyWriter), "a body begun elsewhere"
        # CRASH: a custody that began after this body may have swept away the file that no record named.
        if body.taken or not recipients or not body.fits(self._source):
            raise Transient(NOT_NOW)
        if not self._source.room():
            raise Transient(NO_ROOM)
        body.taken = True
        waiting = await self._waiting(sized(envelope, body.size + len(prefix)), tuple(recipients), body, prefix)
        if self._closed:
            # CRASH: the body's last octets were synced while the writer closed: no record would ever name it.
            body.drop()
            raise Transient(NOT_NOW)
        self._group.put(waiting)
        await waiting.future
        return body.id

    async def _waiting(
        self, envelope: Envelope, recipients: tuple[Recipient, ...], body: SpoolBodyWriter, prefix: bytes
    ) -> Waiting:
        if body.grant is None:
            meta = Meta(body.id, envelope, recipients)
        else:
            digest = await self._finished(body)
            meta = Meta(body.id, envelope, recipients, body.grant.name, prefix, body.size, digest)
        return Waiting(envelope, recipients, body, prefix, encode_meta(meta), self._loop.create_future())

    async def _finished(self, body: SpoolBodyWriter) -> bytes:
        finishing = asyncio.ensure_future(self._bodies.run(body.finish))
        try:
            return await asyncio.shield(finishing)
        except asyncio.CancelledError:
            # The thread still writes to the descriptor: it is closed when the thread is done, not before.
            finishing.add_done_callback(partial(_drop_after, body))
            raise
        except OSError as error:
            body.drop()
            raise Transient(from_os_error(error)) from error
        except MailError:
            body.drop()
            raise

    async def close(self) -> None:
        """Finish what waits and give the segment back; a message that is not whole yet is refused with 451."""
        self._closed = True
        self._group.flush()
        closing = [self._group.close, self._bodies.close, self._end_segment]
        for close in closing:
            if self._threads:
                await asyncio.to_thread(close)
            else:
                close()
        await asyncio.sleep(0)

    # What follows runs in the sync thread.

    def _commit(self, batch: list[Waiting]) -> None:
        error: MailError | None = None
        try:
            if self._segment is None or self._segment.full:
                self._end_segment()
                self._begin_segment()
            assert self._segment is not None
            self._segment.commit(batch)
        except MailError as failure:
            error = failure
        except OSError as failure:
            error = Transient(from_os_error(failure))
            self._end_segment()
        self._on_loop(lambda: self._answer(batch, error))

    def _begin_segment(self) -> None:
        try:
            self._segment = OpenSegment(self._source.next_segment())
        except OSError as error:
            raise Transient(from_os_error(error)) from error
        self._id_segment = self._segment.number

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
            self._on_loop(lambda: self._keeper.segment_closed(segment.number, segment.end))

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(call)

    # And this on the loop again.

    def _answer(self, batch: list[Waiting], error: MailError | None) -> None:
        if error is None:
            error = self._tell(batch)
        else:
            for waiting in batch:
                waiting.body.drop()
        for waiting in batch:
            if not waiting.future.done():
                _resolve(waiting.future, error)

    def _tell(self, batch: list[Waiting]) -> MailError | None:
        for waiting in batch:
            if waiting.body.grant is not None:
                # CRASH: from here on a record names the body; even if custody does not hear of it now, a scan will.
                waiting.body.grant.file.close()
        try:
            self._publish([waiting.accepted() for waiting in batch])
        except OSError:
            return Transient(NOT_NOW)
        except MailError as error:
            return error
        return None


def _drop_after(body: SpoolBodyWriter, finishing: asyncio.Future[bytes]) -> None:
    finishing.exception()
    body.drop()


def _resolve(future: asyncio.Future[None], error: MailError | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(type(error)(error.reply))
