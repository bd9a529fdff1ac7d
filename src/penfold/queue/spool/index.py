"""queue.db: what became of accepted mail. SQLite in WAL mode with one owner and no shared memory.

Blocking; used by one thread at a time. Rows exist only for messages whose first attempt did not finish them, or that
did not fit the window in memory; for all others a segment's marks say that they are accounted for.

Durability: commits are atomic at once and synced by ``sync``, at least every few seconds; a synced commit
(``durable=True``) is on disk on return. After any failed sync the whole log is written again before anything else: the
kernel may have dropped pages of it that it will not report again.
"""

import errno
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, cast

import apsw
import msgspec

from penfold.fs.base import FileSystem
from penfold.model import BodyRef, ConfigError, Envelope, QueueId, Recipient, Reply, Route
from penfold.queue.entry import Entry, State
from penfold.queue.spool.layout import rewrite

SCHEMA = 1
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segment (
  number INTEGER PRIMARY KEY, carry INTEGER NOT NULL, log_id BLOB NOT NULL, closed INTEGER NOT NULL,
  indexed INTEGER NOT NULL, length INTEGER NOT NULL, marks BLOB NOT NULL, rows INTEGER NOT NULL, created REAL NOT NULL,
  records INTEGER NOT NULL
);
CREATE TABLE message (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, segment INTEGER NOT NULL, file TEXT NOT NULL,
  offset INTEGER NOT NULL, length INTEGER NOT NULL, prefix BLOB NOT NULL, envelope BLOB NOT NULL, next INTEGER NOT NULL
);
CREATE INDEX message_file ON message (file) WHERE file >= 'body/' AND file < 'body0';
CREATE INDEX message_carried ON message (segment) WHERE segment != key >> 24;
CREATE TABLE recipient (
  message INTEGER NOT NULL, number INTEGER NOT NULL, state INTEGER NOT NULL, lane TEXT NOT NULL, due REAL NOT NULL,
  attempts INTEGER NOT NULL, warned INTEGER NOT NULL, recipient BLOB NOT NULL, reply BLOB, remote TEXT NOT NULL,
  route BLOB, PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (lane, due, message, number) WHERE state = 0;
CREATE INDEX recipient_held ON recipient (message, number) WHERE state = 1;
CREATE INDEX recipient_closed ON recipient (message) WHERE state >= 2;
"""
_WAL_PAGES = 4000  # 16 MB of log, then its pages go into the database

_PUT_SEGMENT = """
INSERT INTO segment VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT (number) DO UPDATE SET
  closed=excluded.closed, indexed=excluded.indexed, length=excluded.length, marks=excluded.marks,
  records=excluded.records
"""
_MESSAGE = "m.key, m.id, m.segment, m.file, m.offset, m.length, m.prefix, m.envelope, m.next"
_RECIPIENT = "r.number, r.state, r.lane, r.due, r.attempts, r.warned, r.recipient, r.reply, r.remote, r.route"

Head = tuple[float, int, int]  # due, message key, number: the order in which recipients of a lane come out

_encode = msgspec.msgpack.Encoder().encode
_envelope = msgspec.msgpack.Decoder(Envelope).decode
_recipient = msgspec.msgpack.Decoder(Recipient).decode
_reply = msgspec.msgpack.Decoder(Reply).decode
_route = msgspec.msgpack.Decoder(Route).decode


class MessageRow(NamedTuple):
    """A message as a row."""

    key: int
    id: QueueId
    segment: int
    body: BodyRef
    envelope: Envelope
    next: int


class SegmentRow(NamedTuple):
    """A segment as a row; ``length`` is its good length once closed, ``records`` the messages it ever held."""

    number: int
    carry: bool
    log_id: int
    closed: bool
    indexed: bool
    length: int
    marks: bytes
    rows: int
    created: float
    records: int


class Finished(NamedTuple):
    """A message whose last row went."""

    id: QueueId
    segment: int
    file: str


class Batch:
    """One transaction: everything that changed since the last."""

    __slots__ = ("durable", "gone", "messages", "moves", "nexts", "recipients", "rows", "segments", "settled")

    def __init__(self) -> None:
        self.messages: list[tuple[object, ...]] = []
        self.recipients: list[tuple[object, ...]] = []
        self.nexts: list[tuple[int, int]] = []
        self.settled: dict[int, None] = {}
        self.segments: list[SegmentRow] = []
        self.gone: list[tuple[int]] = []
        self.rows: Counter[int] = Counter()  # messages that moved into or out of segments
        self.moves: list[tuple[int, int, str, int, int]] = []
        self.durable = False

    def add_message(self, row: MessageRow) -> None:
        """Insert a message."""
        body = row.body
        self.messages.append(
            (
                row.key,
                row.id,
                row.segment,
                body.file,
                body.offset,
                body.length,
                body.prefix,
                _encode(row.envelope),
                row.next,
            )
        )

    def add_recipient(self, key: int, entry: Entry) -> None:
        """Insert or replace a recipient."""
        self.recipients.append(
            (
                key,
                entry.number,
                int(entry.state),
                entry.lane,
                entry.due,
                entry.attempts,
                entry.warned,
                _encode(entry.recipient),
                None if entry.reply is None else _encode(entry.reply),
                entry.remote,
                None if entry.route is None else _encode(entry.route),
            )
        )

    def __bool__(self) -> bool:
        return bool(self.messages or self.recipients or self.segments or self.gone or self.moves or self.settled)


class Index:
    """The open database. Raises OSError (ENOSPC, EIO) where SQLite raised an I/O error."""

    def __init__(self, fs: FileSystem, path: str, *, vfs: str | None = None) -> None:
        """Open or make it. Raises ConfigError (newer, or in use), OSError, apsw.CorruptError, apsw.NotADBError."""
        self._fs = fs
        self._path = path
        self._pages = 0
        self._suspect = False
        rewrite(fs, path + "-wal")  # the process before may have died of a failed sync
        try:
            self._db = apsw.Connection(path, vfs=vfs)
        except apsw.Error as error:
            raise os_error(error) from error
        try:
            self._configure()
            self._migrate()
        except (apsw.CorruptError, apsw.NotADBError):
            self.drop()
            raise
        except (apsw.BusyError, apsw.LockedError):
            self.drop()
            hint = "stop the other Penfold, or give this one its own spool"
            raise ConfigError("this spool is in use by another process", file=path, hint=hint) from None
        except apsw.Error as error:
            self.drop()
            raise os_error(error) from error

    def _configure(self) -> None:
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-8000"):
            self._db.pragma(*pragma.split("="))
        self._db.pragma("temp_store", "MEMORY")
        self._db.pragma("journal_size_limit", 64 << 20)
        self._db.set_wal_hook(self._logged)  # instead of SQLite's own checkpoints, which hide their errors

    def _migrate(self) -> None:
        version = self._db.pragma("user_version")
        if version > SCHEMA:
            raise ConfigError(f"queue.db has schema {version}; this Penfold knows up to {SCHEMA}")
        if version == 0:
            self._db.execute(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT")

    def close(self) -> None:
        """Close; SQLite checkpoints and removes its log."""
        self._db.close()

    def drop(self) -> None:
        """Let go of the files without a word: left to itself SQLite would unlink its log at some later moment."""
        with suppress(apsw.Error):
            self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._db.close(force=True)

    # Commits

    def commit(self, batch: Batch) -> list[Finished]:
        """Write a batch in one transaction; tells which messages it finished. All or nothing, also when it raises."""
        self._repair()
        try:
            self._db.pragma("synchronous", "FULL" if batch.durable else "NORMAL")
            with self._db:
                finished = self._write(batch)
        except apsw.Error as error:
            raise self._os_error(error) from error
        self._trim()
        return finished

    def _repair(self) -> None:
        """After a failed sync: write the log again, as it is in memory, and sync it.

        CRASH: the kernel marked the pages clean and may never write them. A checkpoint before this would put pages into
        the database that the log on disk does not have, and a power loss in its middle would leave a mixture.
        """
        if self._suspect:
            rewrite(self._fs, self._path + "-wal")
            self._suspect = False

    def _trim(self) -> None:
        if self._pages > _WAL_PAGES:
            self._pages = 0
            try:
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.Error:
                self._suspect = True  # the commit itself stands

    def _logged(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _write(self, batch: Batch) -> list[Finished]:
        db = self._db
        if batch.segments:
            db.executemany(_PUT_SEGMENT, map(_segment_values, batch.segments))
        if batch.messages:
            db.executemany("INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?)", batch.messages)
        if batch.recipients:
            db.executemany("INSERT OR REPLACE INTO recipient VALUES (?,?,?,?,?,?,?,?,?,?,?)", batch.recipients)
        if batch.nexts:
            db.executemany("UPDATE message SET next=? WHERE key=?", batch.nexts)
        if batch.moves:
            db.executemany("UPDATE message SET segment=?2, file=?3, offset=?4, length=?5 WHERE key=?1", batch.moves)
        finished = self._finish(batch.settled)
        counts = Counter(cast("int", row[2]) for row in batch.messages)
        counts.subtract(each.segment for each in finished)
        counts.update(batch.rows)
        db.executemany("UPDATE segment SET rows=rows+? WHERE number=?", [(n, segment) for segment, n in counts.items()])
        db.executemany("DELETE FROM segment WHERE number=?", batch.gone)
        return finished

    def _finish(self, keys: Iterable[int]) -> list[Finished]:
        finished = []
        for key in keys:
            if self._db.execute("SELECT 1 FROM recipient WHERE message=? AND state<2 LIMIT 1", (key,)).get is None:
                for id_, segment, file in self._db.execute(
                    "DELETE FROM message WHERE key=? RETURNING id, segment, file", (key,)
                ):
                    finished.append(Finished(QueueId(id_), segment, file))
                self._db.execute("DELETE FROM recipient WHERE message=?", (key,))
        return finished

    def reserve(self, count: int) -> int:
        """Reserve ``count`` numbers for good; tells the first."""
        self._repair()
        first = self._db.execute("SELECT value FROM meta WHERE name='number'").get or 1
        try:
            self._db.pragma("synchronous", "FULL")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('number', ?)", (first + count,))
        except apsw.Error as error:
            raise self._os_error(error) from error
        return int(first)

    def skip(self, number: int) -> None:
        """Never give numbers below ``number``."""
        first = self.reserve(1)
        if first < number:
            self.reserve(number - first)

    def sync(self) -> None:
        """Make all commits so far durable."""
        self._repair()
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            raise self._os_error(error) from error

    def _os_error(self, error: apsw.Error) -> OSError:
        self._suspect = True
        return os_error(error)

    # Questions

    def segments(self) -> list[SegmentRow]:
        """Tell all segments."""
        rows = self._db.execute("SELECT * FROM segment ORDER BY number")
        return [
            SegmentRow(number, bool(carry), int.from_bytes(log_id), bool(closed), bool(indexed), *rest)
            for number, carry, log_id, closed, indexed, *rest in rows
        ]

    def lanes(self) -> list[tuple[str, Head, int]]:
        """Tell every lane with waiting recipients: its name, the first of them, how many."""
        rows = self._db.execute("SELECT lane, min(due), count(*) FROM recipient WHERE state=0 GROUP BY lane")
        return [(lane, (due, 0, 0), count) for lane, due, count in rows]

    def counts(self) -> tuple[int, int, int]:
        """Count messages, fresh recipients and held ones."""
        ask = self._db.execute
        return (
            ask("SELECT count(*) FROM message").get,
            ask("SELECT count(*) FROM recipient WHERE state=0 AND lane='' AND attempts=0").get,
            ask("SELECT count(*) FROM recipient WHERE state=1").get,
        )

    def body_files(self) -> set[str]:
        """Tell the body files that rows name."""
        ask = "SELECT file FROM message WHERE file >= 'body/' AND file < 'body0'"
        return {file for (file,) in self._db.execute(ask)}

    def due(
        self, lane: str, head: Head, until: float, limit: int
    ) -> tuple[list[tuple[MessageRow, Entry]], Head | None]:
        """Give up to ``limit`` recipients of a lane due at ``until`` or before, from ``head`` on; and what is next.

        PERF: the order is read from the index alone; only the rows chosen are opened.
        """
        found: list[Head] = list(
            self._db.execute(
                "SELECT due, message, number FROM recipient WHERE state=0 AND lane=?"
                " AND (due, message, number) >= (?, ?, ?) ORDER BY due, message, number LIMIT ?",
                (lane, *head, limit + 1),
            )
        )
        chosen = [place for place in found[:limit] if place[0] <= until]
        following = found[len(chosen)] if len(chosen) < len(found) else None
        return [self._row(key, number) for _, key, number in chosen], following

    def _row(self, key: int, number: int) -> tuple[MessageRow, Entry]:
        (row,) = self._db.execute(
            f"SELECT {_MESSAGE}, {_RECIPIENT} FROM recipient r JOIN message m ON m.key=r.message"  # noqa: S608
            " WHERE r.message=? AND r.number=?",
            (key, number),
        )
        return _message_row(row[:9]), _entry(row[9:])

    def message(self, qid: QueueId) -> MessageRow | None:
        """Find a message."""
        row = self._db.execute(f"SELECT {_MESSAGE} FROM message m WHERE m.id=?", (qid,)).fetchone()  # noqa: S608
        return None if row is None else _message_row(row)

    def recipients(self, key: int) -> list[Entry]:
        """Give all recipients of a message, finished ones too."""
        ask = f"SELECT {_RECIPIENT} FROM recipient r WHERE r.message=? ORDER BY r.number"  # noqa: S608
        return [_entry(row) for row in self._db.execute(ask, (key,))]

    def page(self, key: int, limit: int) -> list[tuple[MessageRow, list[Entry]]]:
        """Give messages with their recipients, in the order of their keys, beginning behind ``key``."""
        ask = f"SELECT {_MESSAGE} FROM message m WHERE m.key>? ORDER BY m.key LIMIT ?"  # noqa: S608
        rows = [_message_row(row) for row in self._db.execute(ask, (key, limit))]
        return [(row, self.recipients(row.key)) for row in rows]

    def located(self, segment: int) -> list[MessageRow]:
        """Give the messages whose octets lie in a segment."""
        own = f"SELECT {_MESSAGE} FROM message m WHERE m.key>=?1<<24 AND m.key<(?1+1)<<24 AND m.segment=?1"  # noqa: S608
        carried = f"SELECT {_MESSAGE} FROM message m WHERE m.segment=?1 AND m.segment != m.key>>24"  # noqa: S608
        return [_message_row(row) for ask in (own, carried) for row in self._db.execute(ask, (segment,))]

    def unfinished(self) -> list[int]:
        """Tell the keys of messages with finished recipients, which may be finished altogether."""
        return [key for (key,) in self._db.execute("SELECT DISTINCT message FROM recipient WHERE state>=2")]

    def keys(self, segment: int) -> set[int]:
        """Give the keys of the rows that came in with a segment."""
        ask = "SELECT key FROM message WHERE key>=?1<<24 AND key<(?1+1)<<24"
        return {key for (key,) in self._db.execute(ask, (segment,))}


def _segment_values(row: SegmentRow) -> Sequence["apsw.SQLiteValue"]:
    log_id = row.log_id.to_bytes(8)
    return (
        row.number,
        row.carry,
        log_id,
        row.closed,
        row.indexed,
        row.length,
        row.marks,
        row.rows,
        row.created,
        row.records,
    )


def _message_row(row: Sequence[object]) -> MessageRow:
    key, qid, segment, file, offset, length, prefix, envelope, following = row
    body = BodyRef(file, offset, length, prefix)  # type: ignore[arg-type]
    return MessageRow(key, qid, segment, body, _envelope(envelope), following)  # type: ignore[arg-type]


def _entry(row: Sequence[object]) -> Entry:
    number, state, lane, due, attempts, warned, recipient, reply, remote, route = row
    entry = Entry(number, _recipient(recipient), due)  # type: ignore[arg-type]
    entry.state = State(state)  # type: ignore[arg-type]
    entry.lane, entry.attempts, entry.warned = lane, attempts, bool(warned)  # type: ignore[assignment]
    entry.reply = None if reply is None else _reply(reply)  # type: ignore[arg-type]
    entry.remote = remote  # type: ignore[assignment]
    entry.route = None if route is None else _route(route)  # type: ignore[arg-type]
    return entry


def os_error(error: apsw.Error) -> OSError:
    """Say what SQLite said as an errno."""
    code = errno.ENOSPC if isinstance(error, apsw.FullError) else errno.EIO
    return OSError(code, str(error))
