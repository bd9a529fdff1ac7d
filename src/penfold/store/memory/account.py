"""An account in memory: its tree, its table of keywords, its quota, its MODSEQ.

The MODSEQ is the account's: one counter for all its mailboxes, and for the tree. So a reader that lost its
subscription asks for everything after one number.

Standards: RFC 9051 §2.2.2, §6.3; RFC 7162 §3.1; RFC 9208 §3
"""

from collections.abc import Collection

from penfold.store import annotation
from penfold.store.allowance import afford
from penfold.store.base import Kind, Published, Tree
from penfold.store.change import NO_MAILBOX, AccountId, Annotation, MailboxId, Quota
from penfold.store.flags import Keywords
from penfold.store.memory.mailbox import MemoryMailbox
from penfold.store.names import above
from penfold.store.publication import Publication
from penfold.store.refusal import Refusal
from penfold.store.result import Problem, Stored
from penfold.store.thread import Threads
from penfold.store.tree import in_order


class MemoryAccount:
    """One account."""

    def __init__(self, account: AccountId) -> None:
        self.id = account
        self.modseq = 0
        self.first_uidvalidity = 0  # of those given here; imported ones are in ``adopted``
        self.adopted: set[int] = set()
        self.deleted = 0
        self.names: dict[str, MemoryMailbox] = {}
        self.mailboxes: dict[MailboxId, MemoryMailbox] = {}
        self.trash: dict[MailboxId, MemoryMailbox] = {}
        self.subscriptions: set[str] = set()
        self.keywords = Keywords()
        self.limits = Quota()
        self.annotations: dict[tuple[str, str], Annotation] = {}
        self.threads = Threads()
        self.deliveries: dict[tuple[str, int, MailboxId], tuple[int, Stored]] = {}
        self._publication = Publication(account)

    # -- finding

    def mailbox(self, mailbox: MailboxId) -> MemoryMailbox:
        """Find a mailbox by its id. Raises Refusal."""
        if mailbox not in self.mailboxes:
            raise Refusal(Problem.NONEXISTENT, "no such mailbox")
        return self.mailboxes[mailbox]

    def named(self, name: str) -> MemoryMailbox:
        """Find a mailbox by its name. Raises Refusal."""
        if name not in self.names:
            raise Refusal(Problem.NONEXISTENT, f"no mailbox is called {name}")
        return self.names[name]

    def granted(self, identifiers: Collection[str]) -> bool:
        """Tell whether a mailbox is open for any of these."""
        return any(ace.identifier in identifiers and ace.rights for box in self.names.values() for ace in box.acl)

    @property
    def used(self) -> Quota:
        """What counts against the quota: what can be seen, not what can be undeleted."""
        boxes = self.mailboxes.values()
        return Quota(sum(box.size for box in boxes), sum(box.exists for box in boxes), len(boxes))

    def tree(self) -> Tree:
        """Show it."""
        return Tree(
            self.id,
            self.modseq,
            tuple(self.names[name].shown() for name in sorted(self.names, key=in_order)),
            frozenset(self.subscriptions),
            tuple(self.keywords.names),
            self.limits,
            self.used,
            annotation.in_order(self.annotations),
            tuple(box.shown() for box in self.trash.values()),
        )

    # -- changing

    def touch(self, kind: Kind, box: MemoryMailbox | None = None) -> int:
        """Take the next MODSEQ for a change, to be published with the commit."""
        self.modseq += 1
        mailbox = NO_MAILBOX
        if box is not None:
            mailbox, box.modseq = box.id, self.modseq
        self._publication.touch(mailbox, kind, self.modseq)
        return self.modseq

    def published(self) -> Published | None:
        """Give what has changed since the last commit, once."""
        return self._publication.take(self.modseq)

    def afford(self, storage: int = 0, messages: int = 0, mailboxes: int = 0) -> None:
        """Check that so much more is allowed. Raises Refusal."""
        afford(self.used, self.limits, Quota(storage, messages, mailboxes))

    def put(self, box: MemoryMailbox) -> None:
        """Enter a mailbox into the tree."""
        self.names[box.name] = box
        self.mailboxes[box.id] = box

    def nearest_above(self, name: str) -> MemoryMailbox | None:
        """Find the mailbox from which a new one takes its list of rights."""
        found = [self.names[each] for each in above(name) if each in self.names]
        return found[-1] if found else None

    def flag_bits(self, flags: tuple[str, ...], *, strict: bool = True) -> int:
        """Give the bits of flags, entering new keywords. Raises Refusal; if not strict, leaves out what has no room."""
        for _ in range(self.keywords.admit(flags, self._borne, strict=strict)):
            self.touch(Kind.TREE)
        return self.keywords.bits(flags)

    def _borne(self) -> int:
        borne = 0
        for box in (*self.mailboxes.values(), *self.trash.values()):
            borne |= box.borne()
        return borne
