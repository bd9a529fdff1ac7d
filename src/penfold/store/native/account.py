"""An account as its writer has it: tree, keywords, quota, MODSEQ, and the ends of its files.

The MODSEQ is the account's: one counter for all its mailboxes, and for the tree. So a reader that lost its
subscription asks for everything after one number.

Standards: RFC 9051 §2.2.2, §6.3; RFC 7162 §3.1; RFC 9208 §3; RFC 8474 §5.2
"""

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final, Protocol
from zlib import crc32

from penfold.store.allowance import afford
from penfold.store.annotation import in_order
from penfold.store.base import Kind, Published
from penfold.store.change import NO_MAILBOX, AccountId, Annotation, MailboxId, Quota
from penfold.store.flags import Keywords
from penfold.store.names import above
from penfold.store.native.box import Box
from penfold.store.native.group import Group
from penfold.store.native.image import KEEP, Image, encode_image
from penfold.store.native.layout import account_folder
from penfold.store.native.slots import SLOT, Head, Slot, pack_head, pack_slot
from penfold.store.native.table import Table, key_of
from penfold.store.publication import Publication
from penfold.store.refusal import Refusal
from penfold.store.result import Problem
from penfold.store.thread import MOST_IDS

EMPTY: Final = Image((), (), (), Quota(), (), 0, (), b"", 1)


class Disk(Protocol):
    """What an account does its reading and writing with."""

    group: Group

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Read what was committed, or appended in this commit. Raises Refusal."""

    def read_stub(self, path: str, offset: int) -> bytes:
        """Read a stub with its prefix, in the same way. Raises Refusal."""


class Account:
    """One account."""

    def __init__(self, account: AccountId, disk: Disk, head: Head, image: Image, slots: dict[int, Slot]) -> None:
        self.id = account
        self.folder = account_folder(account)
        self.head = head
        self.key = image.key
        self.first_uidvalidity = image.first_uidvalidity  # of those given here; imported ones are in ``adopted``
        self.adopted = set(image.adopted)
        self.subscriptions = set(image.subscriptions)
        self.keywords = Keywords(image.keywords)
        self.limits = image.limits
        self.annotations = {(note.user, note.entry): note for note in image.annotations}
        self.slots = image.slots  # the next number for a mailbox
        self._disk = disk
        boxes = [Box(each, slots[each.slot], self) for each in image.boxes]
        self.mailboxes: dict[MailboxId, Box] = {box.id: box for box in boxes if not box.deleted}
        self.trash: dict[MailboxId, Box] = {box.id: box for box in boxes if box.deleted}
        self.names: dict[str, Box] = {box.name: box for box in self.mailboxes.values()}
        self.table = Table(head, read=self._read_table, write=self._write_table, drop=self._drop_table)
        self.tree_changed = False
        self._publication = Publication(account, head.modseq)
        self._written = b""  # slot 0 as it is in its file
        if head.modseq:
            self._written = pack_head(head)

    # -- finding

    def mailbox(self, mailbox: MailboxId) -> Box:
        """Find a mailbox by its id. Raises Refusal."""
        if mailbox not in self.mailboxes:
            raise Refusal(Problem.NONEXISTENT, "no such mailbox")
        return self.mailboxes[mailbox]

    def named(self, name: str) -> Box:
        """Find a mailbox by its name. Raises Refusal."""
        if name not in self.names:
            raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
        return self.names[name]

    def boxes(self) -> list[Box]:
        """Give all, deleted ones too."""
        return [*self.mailboxes.values(), *self.trash.values()]

    def nearest_above(self, name: str) -> Box | None:
        """Find the mailbox from which a new one takes its list of rights."""
        found = [self.names[each] for each in above(name) if each in self.names]
        return found[-1] if found else None

    @property
    def loaded(self) -> int:
        """How many rows are held in memory."""
        return sum(box.loaded for box in self.boxes())

    # -- changing

    def touch(self, kind: Kind, box: Box | None = None) -> int:
        """Take the next MODSEQ for a change, to be published with the commit."""
        self.head.modseq += 1
        mailbox = NO_MAILBOX
        if box is not None:
            mailbox, box.slot.modseq = box.id, self.head.modseq
            box.changed = True
        if kind in {Kind.TREE, Kind.METADATA}:
            self.tree_changed = True
        self._publication.touch(mailbox, kind, self.head.modseq)
        return self.head.modseq

    def published(self) -> Published | None:
        """Give what has changed since the last commit, once."""
        return self._publication.take(self.head.modseq)

    def afford(self, storage: int = 0, messages: int = 0, mailboxes: int = 0) -> None:
        """Check that so much more is allowed. Raises Refusal."""
        head = self.head
        used = Quota(head.storage, head.messages, head.mailboxes)
        afford(used, self.limits, Quota(storage, messages, mailboxes))

    def put(self, box: Box) -> None:
        """Enter a mailbox into the tree."""
        self.names[box.name] = box
        self.mailboxes[box.id] = box

    def take_out(self, box: Box) -> None:
        """Lay a mailbox aside: it does not count any more."""
        del self.names[box.name], self.mailboxes[box.id]
        self.trash[box.id] = box
        self.count(-box.slot.size, -box.slot.exists)
        self.head.mailboxes -= 1

    def forget_box(self, box: Box) -> None:
        """Let a mailbox that was laid aside go for good, with its files. Octets stay until the pack is compacted."""
        del self.trash[box.id]
        self.head.dead += box.octets()
        self.tree_changed = True
        for name in (box.index, box.journal):
            self._disk.group.remove(f"{self.folder}/{name}")

    def flag_bits(self, flags: tuple[str, ...], *, strict: bool = True) -> int:
        """Give the bits of flags, entering new keywords. Raises Refusal; if not strict, leaves out what has no room."""
        for _ in range(self.keywords.admit(flags, self._borne, strict=strict)):
            self.touch(Kind.TREE)
        return self.keywords.bits(flags)

    def _borne(self) -> int:
        borne = 0
        for box in self.boxes():
            borne |= box.borne()
        return borne

    # -- what is remembered by key

    def join_thread(self, own: bytes, ancestors: Iterable[bytes], subject: bytes, email: int) -> int:
        """Give the thread of a message whose number is ``email``, and remember its ids; the parent comes last."""
        ids = islice((*((own,) if own else ()), *reversed(tuple(ancestors))), MOST_IDS)
        keys = [key_of(self.key, b"T", each, subject) for each in ids]
        known = [self.table.get(key) for key in keys]
        thread = next((each for each in known if each is not None), email)
        for key, each in zip(keys, known, strict=True):
            if each is None:
                self.table.put(key, thread)
        return thread

    def delivery_key(self, queue_id: str, number: int, mailbox: MailboxId) -> int:
        """Make the key of a delivery."""
        return key_of(self.key, b"D", queue_id.encode(), b"%d" % number, mailbox.encode())

    # -- files

    def write(self, name: str, offset: int, octets: bytes) -> None:
        """Put octets somewhere, with the commit."""
        self._disk.group.write(f"{self.folder}/{name}", offset, octets)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read octets. Raises Refusal."""
        return self._disk.read(f"{self.folder}/{name}", offset, length)

    def count(self, storage: int, messages: int) -> None:
        """Count against the quota."""
        self.head.storage += storage
        self.head.messages += messages

    def append_body(self, octets: bytes) -> int:
        """Put octets at the end of the pack; gives where."""
        place, self.head.pack = self.head.pack, self.head.pack + len(octets)
        self._disk.group.append(f"{self.folder}/{self.pack}", place, octets)
        return place

    def stub(self, place: int) -> bytes:
        """Read the stub of a large body, with the prefix behind it."""
        return self._disk.read_stub(f"{self.folder}/{self.pack}", place)

    def append_rendered(self, octets: bytes) -> int:
        """Put octets at the end of the cache; gives where."""
        place, self.head.cache = self.head.cache, self.head.cache + len(octets)
        self._disk.group.append(f"{self.folder}/{self.cache}", place, octets)
        return place

    @property
    def pack(self) -> str:
        """The name of the pack."""
        return f"pack.{self.head.generation}"

    @property
    def cache(self) -> str:
        """The name of the cache."""
        return f"cache.{self.head.generation}"

    def flush(self) -> None:
        """Put into the group what says how things are now, last of all."""
        if self.tree_changed:
            self._write_image()
        head = pack_head(self.head)
        slots = {box.place: pack_slot(box.slot) for box in self.boxes() if box.changed}
        for place in sorted(slots):
            if place != 1:
                self.write("head", place * SLOT, slots[place])
        if slots or head != self._written:
            self.write("head", 0, head + slots.get(1, b""))
        self._written = head

    def committed(self) -> None:
        """Take note that all of it is in the files."""
        self.tree_changed = False
        self.table.committed()
        for box in self.boxes():
            box.committed()

    def _write_image(self) -> None:
        head = self.head
        octets = encode_image(self._image())
        if head.tree > KEEP + 8 * len(octets):
            self._disk.group.remove(f"{self.folder}/tree.{head.trees}")
            head.trees += 1
            head.tree = 0
        self.write(f"tree.{head.trees}", head.tree, octets)
        head.tree += len(octets)
        head.image, head.image_crc = len(octets), crc32(octets)

    def _image(self) -> Image:
        return Image(
            tuple(box.image() for box in self.boxes()),
            tuple(sorted(self.subscriptions)),
            tuple(self.keywords.names),
            self.limits,
            self.notes(),
            self.first_uidvalidity,
            tuple(sorted(self.adopted)),
            self.key,
            self.slots,
        )

    def notes(self) -> tuple[Annotation, ...]:
        """Give its annotations in order."""
        return in_order(self.annotations)

    def _read_table(self, generation: int, offset: int, length: int) -> bytes:
        return self.read(f"table.{generation}", offset, length)

    def _write_table(self, generation: int, offset: int, octets: bytes) -> None:
        self.write(f"table.{generation}", offset, octets)

    def _drop_table(self, generation: int) -> None:
        self._disk.group.remove(f"{self.folder}/table.{generation}")


def granted(image: Image, identifiers: Collection[str]) -> bool:
    """Tell whether a mailbox is open for any of these."""
    return any(
        ace.identifier in identifiers and ace.rights for box in image.boxes if not box.deleted for ace in box.acl
    )
