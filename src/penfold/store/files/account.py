"""An account of files: its tree as it lies, its table of keywords, its MODSEQ.

The MODSEQ is the account's, as in every store. No format carries it: it lives in the cache. An account whose cache is
lost, or was not closed in peace, goes on at a MODSEQ that is greater than any it can have given, the milliseconds of
the clock (a thousand changes a second for ever would be needed to come before them).

Standards: RFC 9051 §2.2.2, §6.3; RFC 7162 §3.1; RFC 8474 §4; RFC 9208 §3
"""

import contextlib
from collections.abc import Callable, Collection
from hashlib import blake2b
from itertools import islice

from penfold.formats import subscriptions
from penfold.formats.detect import Format
from penfold.formats.replacing import content, replace
from penfold.message.summary import Summary
from penfold.model import MailError
from penfold.model.ids import base32
from penfold.store.allowance import afford, next_uidvalidity
from penfold.store.base import Kind, Mailbox, Published, Tree
from penfold.store.change import NO_MAILBOX, AccountId, MailboxId, Quota
from penfold.store.files.cache import VERSION, Cache, Kept
from penfold.store.files.control import About, Control
from penfold.store.files.folder import Folder, Means
from penfold.store.files.layout import Place, Spot, layout_of
from penfold.store.files.mailbox import FilesMailbox
from penfold.store.flags import Keywords, words
from penfold.store.names import BadName, above, mailbox_name
from penfold.store.publication import Publication
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Problem
from penfold.store.rights import Ace
from penfold.store.thread import MOST_IDS
from penfold.store.tree import in_order

Opener = Callable[[Place, Spot, str, Means], Folder]
_MOST_DELIVERIES = 10_000
_MOST_ROWS = 200_000  # messages of an account held in memory without anyone looking at them
_SAVED_EVERY = 2_000  # changes of a mailbox that are written down before it is closed


class Threads:
    """Which thread a message belongs to (see ``store.thread``), kept as numbers so that it can be written down."""

    def __init__(self, known: Collection[tuple[int, int]] = ()) -> None:
        self.known = dict(known)

    def join(self, summary: Summary, email: int) -> int:
        """Give the thread of a message whose number is ``email``, and remember its ids."""
        own = (summary.message_id,) if summary.message_id else ()
        keys = [
            int.from_bytes(blake2b(each + b"\0" + summary.keys.subject, digest_size=8).digest(), "big")
            for each in islice((*own, *reversed(summary.ancestors)), MOST_IDS)
        ]
        thread = next((self.known[key] for key in keys if key in self.known), email)
        for key in keys:
            self.known.setdefault(key, thread)
        return thread


class FilesAccount:
    """One account."""

    def __init__(
        self,
        account: AccountId,
        place: Place,
        cache: Cache,
        means: Means,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        opener: Opener,
        ours: bool,
    ) -> None:
        self.id = account
        self.place = place
        self.cache = cache
        self.summarise = summarise
        self.layout = layout_of(means.fs, place)
        self._fs = means.fs
        self._means = means._replace(uidvalidity=self.next_uidvalidity)
        self._clock = clock
        self._random = random
        self._opener = opener
        self._directory = place.root if ours else cache.directory
        self.control = Control(means.fs, self._directory)
        self._open: dict[MailboxId, FilesMailbox] = {}
        self._renewed: set[MailboxId] = set()  # have been open since we began
        self._spots: dict[str, Spot] = {}
        self._table: tuple[str, ...] = ()
        self._bits: dict[frozenset[str], int] = {}
        self._begin()

    def _begin(self) -> None:
        kept = self.cache.kept()
        self._peace = bool(kept and kept.peace)
        self._restarted = 0
        if kept is None or not kept.peace:
            self._restarted = max(kept.modseq if kept else 0, int(self._clock() * 1000))
        kept = kept or Kept(VERSION, 0, peace=False)
        self.modseq = self._restarted or kept.modseq
        self.keywords = Keywords(kept.keywords)
        self.threads = Threads(kept.threads)
        self.deliveries = {each[:3]: each[3:] for each in kept.deliveries}
        self._publication = Publication(self.id, self.modseq if self._peace else 0)
        self._spots = self.layout.spots()

    @property
    def remembers(self) -> bool:
        """Whether all that was delivered before is known: it was closed in peace."""
        return not self._restarted

    # -- what comes from outside

    @property
    def now(self) -> int:
        """POSIX seconds, never 0."""
        return max(1, int(self._clock()))

    def unique(self) -> str:
        """Draw a name for a file: letters and digits."""
        return base32(int.from_bytes(self._random(8), "big") >> 1, 13)

    def next_uidvalidity(self) -> int:
        """Give one that this account never gave. Written down before anything bears it."""
        said = self.control.said
        said.uidvalidity = next_uidvalidity(said.uidvalidity, self.now, said.adopted)
        said.first_uidvalidity = said.first_uidvalidity or said.uidvalidity
        self.control.changed = True
        self.control.write()
        return said.uidvalidity

    # -- the tree

    def look(self) -> None:
        """See which mailboxes there are now."""
        spots = self.layout.spots()
        if spots == self._spots:
            return
        if spots:
            for name in self._spots.keys() - spots.keys():
                self.drop(name)
        else:
            self._vanish()
        self._spots = spots
        self.touch(Kind.TREE)

    def _vanish(self) -> None:
        """Let go of mailboxes, keep what is said of them: a file system that is not mounted comes back."""
        for box in self.open:
            box.gone = True
            box.close()
        self._open.clear()

    @property
    def names(self) -> Collection[str]:
        """Name the mailboxes that are there."""
        return self._spots.keys()

    def selectable(self, name: str) -> bool:
        """Tell whether a mailbox that is there can be selected."""
        return self._spots[name].selectable

    def granted(self, identifiers: Collection[str]) -> bool:
        """Tell whether a mailbox is open for any of these."""
        return any(ace.identifier in identifiers and ace.rights for name in self._spots for ace in self.about(name).acl)

    def drop(self, name: str) -> None:
        """Forget a mailbox that is there no more."""
        about = self.control.said.mailboxes.pop(name, None)
        self.control.changed = self.control.changed or about is not None
        self._spots.pop(name, None)
        if about is not None:
            box = self._open.pop(MailboxId(about.id), None)
            if box is not None:
                box.gone = True
                box.close()
            self.cache.forget(about.id)

    def moved(self, names: dict[str, str]) -> None:
        """Take along what is said of mailboxes that were renamed, old names to new ones."""
        said = self.control.said
        taken = {new: said.mailboxes.pop(old) for old, new in names.items() if old in said.mailboxes}
        said.mailboxes |= taken
        self.control.changed = True
        self._spots = self.layout.spots()
        for name, about in taken.items():
            box = self._open.pop(MailboxId(about.id), None)
            if box is not None:
                box.close()
                self._carry(box, name)

    def _carry(self, box: FilesMailbox, name: str) -> None:
        """Point a mailbox that is open to where it lies now."""
        spot = self._spots[name]
        box.name, box.source = name, spot.path
        box.folder = self._folder(spot, box.id)
        box.soil()
        self._open[box.id] = box

    def about(self, name: str) -> About:
        """Give what is said of a mailbox; it gets its id, and the rights of the one above it, when it is first seen."""
        said = self.control.said
        if name not in said.mailboxes:
            acl = self._inherited(name)
            said.mailboxes[name] = About("F" + self.unique(), acl=acl)
            self.control.changed = True
        return said.mailboxes[name]

    def _inherited(self, name: str) -> tuple[Ace, ...]:
        found = [each for each in above(name) if each in self._spots]
        return self.about(found[-1]).acl if found else ()

    def make(self, name: str) -> FilesMailbox:
        """Make a mailbox and what is missing above it. Raises Refusal, OSError."""
        for each in self.missing(name):
            self.layout.make(each)
            self._spots = self.layout.spots()
            self.touch(Kind.TREE, self.named(each))
        return self.named(name)

    def missing(self, name: str) -> list[str]:
        """Name what is to be made for there to be a mailbox of that name."""
        wanted = (*above(name), name) if self.layout.nested else (name,)
        return [each for each in wanted if each not in self._spots]

    # -- mailboxes

    def named(self, name: str) -> FilesMailbox:
        """Find a mailbox by its name. Raises Refusal, OSError."""
        spot = self._spots.get(name)
        if spot is None:
            raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
        if not spot.selectable:
            raise Refusal(Problem.CANNOT, f"{name} is a directory of mailboxes")
        mailbox = MailboxId(self.about(name).id)
        if mailbox not in self._open:
            box = FilesMailbox(self, mailbox, name, spot.path, self._folder(spot, mailbox))
            if self._restarted and box.uidvalidity and mailbox not in self._renewed:
                box.restart(self._restarted)
            self._renewed.add(mailbox)
            self._open[mailbox] = box
        return self._open[mailbox]

    def _folder(self, spot: Spot, mailbox: MailboxId) -> Folder:
        return self._opener(self.place, spot, f"{self.cache.directory}/{mailbox}", self._means)

    def mailbox(self, mailbox: MailboxId) -> FilesMailbox:
        """Find a mailbox by its id, as it is now. Raises Refusal, OSError, MailError."""
        box = self._open.get(mailbox)
        if box is None or box.name not in self._spots:
            name = self._name_of(mailbox)
            if not name:
                raise Refusal(Problem.NONEXISTENT, "no such mailbox")
            box = self.named(name)
        box.look()
        return box

    def _name_of(self, mailbox: MailboxId) -> str:
        for name in self._spots:
            if self.about(name).id == mailbox:
                return name
        return ""

    def boxes(self) -> list[FilesMailbox]:
        """Give all that can be selected; those that have never been looked into are looked into now."""
        found = []
        for name, spot in self._spots.items():
            if spot.selectable:
                box = self.named(name)
                if not box.uidvalidity:
                    with contextlib.suppress(OSError, MailError):
                        box.look()
                found.append(box)
        return found

    @property
    def open(self) -> Collection[FilesMailbox]:
        """Give the mailboxes that are open."""
        return tuple(self._open.values())

    @property
    def used(self) -> Quota:
        """Count what is there; measured where there is a limit to compare it with."""
        boxes = self.boxes()
        if self.control.said.limits.storage:
            for box in boxes:
                box.measure(range(len(box.keys)))
        counts = [box.counts() for box in boxes]
        return Quota(sum(each.size for each in counts), sum(each.exists for each in counts), len(boxes))

    def afford(self, storage: int = 0, messages: int = 0, mailboxes: int = 0) -> None:
        """Check that so much more is allowed. Raises Refusal."""
        limits = self.control.said.limits
        if limits == Quota():
            return
        afford(self.used, limits, Quota(storage, messages, mailboxes))

    def tree(self) -> Tree:
        """Show it."""
        said = self.control.said
        boxes = {box.name: box for box in self.boxes()}
        shown = []
        for name in sorted(self._spots, key=in_order):
            about, box = self.about(name), boxes.get(name)
            numbers = (box.uidvalidity, box.modseq) if box else (0, 0)
            notes = tuple(sorted(about.annotations, key=lambda note: (note.user, note.entry)))
            more = {"selectable": box is not None}
            shown.append(Mailbox(MailboxId(about.id), name, *numbers, about.special_use, about.acl, notes, **more))
        return Tree(
            self.id,
            self.modseq,
            tuple(shown),
            frozenset(self.subscriptions()),
            tuple(self.keywords.names),
            said.limits,
            self.used,
            tuple(sorted(said.annotations, key=lambda note: (note.user, note.entry))),
        )

    # -- subscriptions

    def _subscribed(self) -> tuple[str, bool]:
        """Give the file of subscriptions, and whether it is Courier's."""
        path, courier = (f"{self._directory}/{name}" for name in (subscriptions.DOVECOT, subscriptions.COURIER))
        if self.place.format is Format.MAILDIR:
            is_courier = content(self._fs, path) is None and content(self._fs, courier) is not None
            return (courier, True) if is_courier else (path, False)
        return f"{self._directory}/.{subscriptions.DOVECOT}", False

    def subscriptions(self) -> set[str]:
        """Read the names that are subscribed."""
        path, courier = self._subscribed()
        text = content(self._fs, path) or b""
        separator = "." if self.place.format is Format.MAILDIR else "/"
        names = subscriptions.parse_courier(text) if courier else subscriptions.parse(text, separator)
        found = set()
        for name in names:
            with contextlib.suppress(BadName):
                found.add(mailbox_name(name))
        return found

    def subscribe(self, names: Collection[str]) -> None:
        """Write the names that are subscribed. Raises OSError."""
        path, courier = self._subscribed()
        replace(self._fs, path, subscriptions.octets_courier(names) if courier else subscriptions.octets(names))

    # -- flags

    def bits_of(self, flags: frozenset[str]) -> int:
        """Give the bits of flags found in a folder; a keyword without room in the table is passed over."""
        table = tuple(self.keywords.names)
        if table != self._table:
            self._table, self._bits = table, {}
        if flags not in self._bits:
            bits = self.flag_bits(tuple(flags), strict=False)
            self._bits[flags] = bits
        return self._bits[flags]

    def translated(self, bits: int, keywords: tuple[str, ...]) -> int:
        """Give bits that refer to another table."""
        return self.bits_of(frozenset(words(bits, keywords)))

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

    # -- commits

    def touch(self, kind: Kind, box: FilesMailbox | None = None) -> int:
        """Take the next MODSEQ for a change, to be published with the commit."""
        if self._peace:
            self._unrest()
        self.modseq += 1
        mailbox = NO_MAILBOX
        if box is not None:
            mailbox, box.modseq = box.id, self.modseq
            box.soil()
        self._publication.touch(mailbox, kind, self.modseq)
        return self.modseq

    def _unrest(self) -> None:
        """Note that what is written down is not the newest: once, before the first change."""
        self._peace = False
        self.cache.save("state", Kept(VERSION, self.modseq, peace=False), durable=True)

    def _rest(self) -> None:
        """Let go of mailboxes nobody looks at, large ones first, when there is much in memory."""
        rows = sum(len(box.keys) for box in self.open)
        for box in sorted(self.open, key=lambda box: -len(box.keys)):
            if rows <= _MOST_ROWS:
                return
            if box.view is None or box.view() is None:
                box.close()
                del self._open[box.id]
                rows -= len(box.keys)

    def note(self) -> None:
        """Write down ids that were given to what others made; where that cannot be, they are others next time."""
        with contextlib.suppress(OSError):
            self.control.write()

    def published(self) -> Published | None:
        """Give what has changed since the last commit, once."""
        for box in self.open:
            if box.dirty > _SAVED_EVERY:
                box.save()
        self._rest()
        return self._publication.take(self.modseq)

    def close(self) -> None:
        """Write down everything; what follows may begin where this ended."""
        for box in self.open:
            box.close()
        self.note()
        deliveries = [(*key, *value) for key, value in list(self.deliveries.items())[-_MOST_DELIVERIES:]]
        with contextlib.suppress(OSError):
            self._fs.sync_all(self.cache.directory)
        kept = Kept(
            VERSION,
            self.modseq,
            peace=True,
            keywords=tuple(self.keywords.names),
            deliveries=deliveries,
            threads=list(self.threads.known.items()),
        )
        self.cache.save("state", kept, durable=True)
