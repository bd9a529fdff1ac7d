"""A message as the custodian holds it in memory: fresh, being tried, or changed and not yet written."""

from collections.abc import Sequence

from penfold.model import BodyRef, Envelope, QueueId, Recipient
from penfold.queue.base import Claim
from penfold.queue.entry import Entry
from penfold.queue.spool.index import Batch, MessageRow
from penfold.queue.spool.record import Accepted


def message_key(segment: int, lsn: int) -> int:
    """Make the key of a message in the index: it sorts by age."""
    return segment << 24 | lsn


class Message:
    """A message in memory.

    ``in_rows`` False: all its recipients are in ``entries``, and its record is not accounted for. True: its rows are in
    the index, and ``entries`` holds those that are claimed, in the line of ready work, or changed.
    """

    __slots__ = ("body", "changed", "entries", "envelope", "id", "in_rows", "key", "next", "segment")

    def __init__(self, key: int, qid: QueueId, segment: int, envelope: Envelope, body: BodyRef) -> None:
        self.key = key
        self.id = qid
        self.segment = segment
        self.envelope = envelope
        self.body = body
        self.entries: dict[int, Entry] = {}
        self.changed: dict[int, Entry] = {}
        self.in_rows = False
        self.next = 0

    @classmethod
    def fresh(cls, accepted: Accepted) -> "Message":
        """Take a message from intake."""
        key = message_key(accepted.segment, accepted.lsn)
        message = cls(key, accepted.id, accepted.segment, accepted.envelope, accepted.body)
        message.add(accepted.recipients, accepted.envelope.arrived)
        return message

    @classmethod
    def of(cls, row: MessageRow) -> "Message":
        """Take a message from the index, without its recipients."""
        message = cls(row.key, row.id, row.segment, row.envelope, row.body)
        message.in_rows = True
        message.next = row.next
        return message

    @property
    def file(self) -> str:
        """Its body file, if it has one of its own."""
        return "" if self.body.file.endswith(".seg") else self.body.file

    @property
    def finished(self) -> bool:
        """Whether nothing in memory is open or claimed."""
        return not any(entry.open or entry.active for entry in self.entries.values())

    def add(self, recipients: Sequence[Recipient], due: float) -> list[Entry]:
        """Add recipients under new numbers."""
        added = [Entry(self.next + n, recipient, due) for n, recipient in enumerate(recipients)]
        self.next += len(added)
        self.entries.update((entry.number, entry) for entry in added)
        return added

    def claim(self, entries: Sequence[Entry]) -> Claim:
        """Show it to the scheduler."""
        if len(entries) > 1:
            entries = sorted(entries, key=lambda entry: entry.number)
        return Claim(self.id, self.envelope, self.body, tuple([entry.pending() for entry in entries]))

    def write(self, batch: Batch) -> list[Entry]:
        """Put what changed into a batch; gives the entries written."""
        if self.in_rows:
            written = list(self.changed.values())
            batch.nexts.append((self.next, self.key))
        else:
            written = list(self.entries.values())
            batch.add_message(MessageRow(self.key, self.id, self.segment, self.body, self.envelope, self.next))
            self.in_rows = True
        self.changed = {}
        for entry in written:
            batch.add_recipient(self.key, entry)
        if not all(entry.open for entry in written) and not any(entry.active for entry in self.entries.values()):
            batch.settled[self.key] = None
        return written

    def release(self, written: Sequence[Entry]) -> list[Entry]:
        """Let go of entries that are safe in rows; gives those let go."""
        gone = [
            entry for entry in written if not entry.active and not entry.queued and entry.number not in self.changed
        ]
        for entry in gone:
            self.entries.pop(entry.number, None)
        return gone
