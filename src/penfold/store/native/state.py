"""What the writer works on: accounts as they are needed, the group being gathered, and what comes from outside.

An account is read when a change names it and kept for a while; after a commit that failed those it touched are
forgotten, so memory never runs ahead of the disk.

Standards: RFC 9051 §2.3.1.1 (UIDVALIDITY)
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final
from zlib import crc32

import msgspec

from penfold.model import BodyRef
from penfold.model.ids import base32
from penfold.store.allowance import next_uidvalidity
from penfold.store.base import Bodies, Column, Kind, Linking
from penfold.store.change import AccountId, MailboxId, Message
from penfold.store.native import rendered
from penfold.store.native.account import EMPTY, Account
from penfold.store.native.big import HEADING, BigBodies, read_stub
from penfold.store.native.box import Box, Row
from penfold.store.native.files import Files
from penfold.store.native.group import Group
from penfold.store.native.image import BoxImage, Image, decode_image
from penfold.store.native.index import BIG, Facts
from penfold.store.native.layout import account_folder, good_account
from penfold.store.native.slots import SLOT, Head, Slot, Torn, read_head, read_slot
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise, summary_columns
from penfold.store.result import Problem

KEPT: Final = 2000  # accounts
ROWS: Final = 1 << 20  # of mailboxes, kept in memory
SPILL: Final = 256 * 1024
_EVER: Final = 1 << 62  # seconds


class Limits(msgspec.Struct, frozen=True):
    """Octets of a message and of an annotation's value; annotations of a mailbox or an account."""

    message: int = 1 << 30
    annotation: int = 65536
    annotations: int = 1000


class State:
    """The writer's memory. ``uidvalidity`` is the greatest ever given by it."""

    def __init__(
        self,
        files: Files,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None,
        limits: Limits,
        spill: int = SPILL,
    ) -> None:
        self.files = files
        self.limits = limits
        self.group = Group()
        self.big = BigBodies(files.fs, files.root)
        self.uidvalidity = 0
        self.due: set[AccountId] = set()  # accounts whose pack is mostly dead
        self._clock = clock
        self._random = random
        self._summarise = summarise
        self._bodies = bodies
        self._linking = bodies if isinstance(bodies, Linking) else None
        self._spill = spill
        self._accounts: OrderedDict[AccountId, Account] = OrderedDict()
        self._counted: dict[AccountId, int] = {}  # rows of each that are in memory
        self._rows = 0
        self._touched: dict[AccountId, Account | None] = {}  # None: purged in this group

    @property
    def now(self) -> int:
        """POSIX seconds, never 0."""
        return max(1, int(self._clock()))

    # -- accounts

    def find(self, account: AccountId) -> Account | None:
        """Find an account, also a deleted one. Raises Refusal."""
        if account in self._touched:
            return self._touched[account]
        found = self._accounts.get(account) or self._loaded(account)
        if found is not None:
            self._accounts[account] = self._touched[account] = found
            self._accounts.move_to_end(account)
        return found

    def account(self, account: AccountId) -> Account:
        """Find an account that is there. Raises Refusal."""
        found = self.find(account)
        if found is None or found.head.deleted:
            raise Refusal(Problem.NONEXISTENT, "no such account")
        return found

    def make_account(self, account: AccountId) -> Account:
        """Make an account, of which there is none."""
        image = msgspec.structs.replace(EMPTY, key=self._random(16))
        made = Account(account, self, Head(), image, {})
        self._accounts[account] = self._touched[account] = made
        return made

    def purge_account(self, account: Account) -> None:
        """Let all its files go."""
        account.head.deleted = -1
        account.flush()  # for those who have it mapped
        prefix = f"{account.folder}/"
        names = {path.removeprefix(prefix) for _, path, _, _ in self.group.steps if path.startswith(prefix)}
        with suppress(FileNotFoundError):
            names.update(self.files.fs.names(f"{self.files.root}/{account.folder}"))
        for name in sorted(names):
            self.group.remove(prefix + name)
        self.group.drop(account.folder)
        del self._accounts[account.id]
        self._rows -= self._counted.pop(account.id, 0)
        self._touched[account.id] = None

    def touched(self) -> Iterator[Account]:
        """Give the accounts this group was about."""
        return (account for account in self._touched.values() if account is not None)

    def begin(self) -> None:
        """Begin a group."""
        self.group = Group()
        self._touched = {}

    def committed(self) -> None:
        """Take note that the group is in the files, and let go of what was not used for longest."""
        for account in self.touched():
            account.committed()
            self._rows += account.loaded - self._counted.get(account.id, 0)
            self._counted[account.id] = account.loaded
        self.begin()
        while self._accounts and (len(self._accounts) > KEPT or self._rows > ROWS):
            account_id, _ = self._accounts.popitem(last=False)
            self._rows -= self._counted.pop(account_id, 0)

    def forget(self) -> None:
        """The group failed: let go of everything, to be read again."""
        self._accounts.clear()
        self._counted.clear()
        self._rows = 0
        self.begin()

    def _loaded(self, account: AccountId) -> Account | None:
        if not good_account(account):
            return None
        folder = account_folder(account)
        try:
            octets = self.files.get_there(f"{folder}/head").read_at(0, 1 << 30)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the account cannot be read: {error.strerror}") from error
        try:
            head = read_head(octets[:SLOT])
            image = self._image(folder, head)
            slots = {each.slot: read_slot(octets[each.slot * SLOT : (each.slot + 1) * SLOT]) for each in image.boxes}
        except (Torn, msgspec.MsgspecError) as error:
            raise Refusal(Problem.UNAVAILABLE, "the account is damaged") from error
        return Account(account, self, head, image, slots)

    def _image(self, folder: str, head: Head) -> Image:
        octets = self.read(f"{folder}/tree.{head.trees}", head.tree - head.image, head.image)
        if crc32(octets) != head.image_crc:
            raise Torn
        return decode_image(octets)

    # -- mailboxes and messages

    def number(self) -> int:
        """Draw a number for a message: 63 random bits."""
        return int.from_bytes(self._random(8), "big") >> 1

    def make_mailbox(self, account: Account, name: str) -> Box:
        """Make a mailbox of that name, which nobody bears."""
        self.uidvalidity = next_uidvalidity(self.uidvalidity, self.now, account.adopted)
        account.first_uidvalidity = account.first_uidvalidity or self.uidvalidity
        parent = account.nearest_above(name)
        image = BoxImage(
            MailboxId("F" + base32(self.number(), 13)),
            account.slots,
            name,
            self.now,
            acl=parent.acl if parent else (),
        )
        account.slots += 1
        box = Box(image, Slot(uidvalidity=self.uidvalidity, pack=account.head.generation), account)
        account.put(box)
        account.head.mailboxes += 1
        account.touch(Kind.TREE, box)
        return box

    def octets(self, message: Message) -> bytes:
        """Read a message. Raises Refusal."""
        octets = message.prefix + self._content(message.content)
        if len(octets) > self.limits.message:
            raise Refusal(Problem.TOO_BIG, f"the message has more than {self.limits.message} octets")
        return octets

    def row(self, account: Account, message: Message, octets: bytes, flags: int) -> Row:
        """Put a message into the files of an account; gives its row. Raises Refusal."""
        summary = self._summarise(octets)
        email = self.number()
        internal = self.now if message.internal is None else max(-_EVER, min(message.internal, _EVER))
        stored, bits = (octets, 0) if len(octets) <= self._spill else (self._kept_apart(account, message, octets), BIG)
        thread = account.join_thread(summary.message_id, summary.ancestors, summary.keys.subject, email)
        columns = summary_columns(summary, internal)
        record = rendered.write(summary, message.uidl)
        facts = Facts(
            internal=internal,
            saved=0,
            sent=columns[Column.SENT],
            email=email,
            thread=thread,
            arrived=0,
            body=account.append_body(stored),
            cache=account.append_rendered(record),
            size=len(octets),
            header=columns[Column.HEADER],
            day=columns[Column.DAY],
            rendered=len(record),
            bits=bits | columns[Column.ANSWER],
        )
        return Row(flags, facts, message.uid)

    def _kept_apart(self, account: Account, message: Message, octets: bytes) -> bytes:
        adopted = self._adopted(account, message, len(octets))
        if adopted is not None:
            return adopted
        try:
            return self.big.write(account.folder, self.number(), octets)
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the message cannot be written: {error.strerror}") from error

    def _adopted(self, account: Account, message: Message, size: int) -> bytes | None:
        """Take a body over by a link where it can be; gives its stub."""
        ref, linking = message.content, self._linking
        if linking is None or not isinstance(ref, BodyRef):
            return None
        before = message.prefix + ref.prefix

        def link(path: str) -> bool:
            return linking.link(ref, path)

        return self.big.adopt(account.folder, self.number(), before, size - len(before), link)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Read octets, also those this group appends. Raises Refusal."""
        fresh = self.group.appended.get((path, offset))
        if fresh is not None and len(fresh) == length:
            return fresh
        try:
            return self.files.read(path, offset, length)
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the account cannot be read: {error.strerror}") from error

    def read_stub(self, path: str, offset: int) -> bytes:
        """Read a stub with its prefix, also one this group appends. Raises Refusal."""
        fresh = self.group.appended.get((path, offset))
        if fresh is not None:
            return fresh
        heading = self.read(path, offset, HEADING)
        return self.read(path, offset, read_stub(heading).size)

    def _content(self, content: bytes | BodyRef) -> bytes:
        if isinstance(content, bytes):
            return content
        if self._bodies is None:
            raise Refusal(Problem.UNAVAILABLE, "contents by reference cannot be read here")
        try:
            return self._bodies.open(content).read()
        except OSError as error:
            raise Refusal(Problem.UNAVAILABLE, f"the content cannot be read: {error.strerror}") from error
