"""The writer of a store: makes changes in groups; a group is one record and one sync, for however many accounts.

check and make in memory -> one record in the log -> fdatasync -> octets into the files -> slots, which publish them.

It runs in one thread and blocks; ``NativeStore`` brings it changes and takes its answers back.

Durability: nothing is written to an account's files, and nobody is told anything, before the record is synced. A log
whose sync failed is closed for good; what was in memory is forgotten, and read again from what is known to be written.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from penfold.fs.base import FileSystem
from penfold.store import change as changes
from penfold.store.base import Bodies, Published
from penfold.store.change import AccountId, Change
from penfold.store.native import folders, messages, recovery
from penfold.store.native.compaction import Compaction, Plan
from penfold.store.native.files import Files
from penfold.store.native.folder import Folder
from penfold.store.native.layout import account_folder, prepare
from penfold.store.native.log import LARGEST, LIMIT, Checkpoint, Log, LogHead, logs
from penfold.store.native.replay import Replay, cut
from penfold.store.native.slots import SLOT, Torn, pack_head, pack_slot
from penfold.store.native.state import SPILL, Limits, State
from penfold.store.refusal import Refusal
from penfold.store.rendering import Summarise
from penfold.store.result import Problem, Refused, Result

# The one place where a change's type is not written out: each handler takes its own.
_HANDLERS: Final[Mapping[type[Change], Callable[[State, Any], Result]]] = MappingProxyType(
    {
        changes.Deliver: messages.deliver,
        changes.Append: messages.append,
        changes.Replace: messages.replace,
        changes.StoreFlags: messages.store_flags,
        changes.Copy: messages.copy,
        changes.Move: messages.move,
        changes.Expunge: messages.expunge,
        changes.Create: folders.create,
        changes.Delete: folders.delete,
        changes.Rename: folders.rename,
        changes.Subscribe: folders.subscribe,
        changes.Adopt: folders.adopt,
        changes.ClaimRecent: messages.claim_recent,
        changes.SetSpecialUse: folders.set_special_use,
        changes.SetAcl: folders.set_acl,
        changes.SetMetadata: folders.set_metadata,
        changes.SetQuota: folders.set_quota,
        changes.Undelete: recovery.undelete,
        changes.Purge: recovery.purge,
        changes.CreateAccount: recovery.create_account,
        changes.DeleteAccount: recovery.delete_account,
    }
)
RESERVE: Final = 16 << 20  # octets that stay free on the disk
ENOUGH: Final = 32 << 20  # octets after which a group is closed


class Committed(NamedTuple):
    """What became of batches, one list each, and what is to be told to those who watch."""

    results: list[list[Result]]
    published: list[Published]


class Writer:
    """The one writer of its accounts. ``name`` is the folder of its log. ``report`` is told of damage, for people."""

    def __init__(
        self,
        fs: FileSystem,
        root: str,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        summarise: Summarise,
        bodies: Bodies | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        report: Callable[[str], None] = lambda _: None,
        name: str = "0",
        limit: int = LIMIT,
        reserve: int = RESERVE,
        spill: int = SPILL,
    ) -> None:
        """Open the store at ``root``, or make it. Raises ConfigError (a newer format), OSError."""
        self._fs = fs
        self._root = root
        self._clock = clock
        self._random = random
        self._report = report
        self._name = name
        self._folder = f"{root}/log/{name}"
        self._limit = limit
        self._reserve = reserve
        self._log: Log | None = None
        self._files = Files(fs, root)
        self.state = State(
            self._files,
            clock=clock,
            random=random,
            summarise=summarise,
            bodies=bodies,
            limits=limits,
            spill=spill,
        )
        self.background: Callable[[Callable[[], None]], None] = lambda call: call()
        self._lock = threading.Lock()  # one at a time cuts logs
        self._broken = False
        self._last = (0, 0)  # the last good record of the log before
        prepare(fs, root, name)
        self._next = self._recovered().first

    # -- committing

    def commit(self, batches: Sequence[Sequence[Change]]) -> Committed:
        """Make changes, in order, and have them on disk."""
        done = Committed([], [])
        some: list[Sequence[Change]] = []
        size = 0
        for batch in batches:
            some.append(batch)
            size += sum(map(_weight, batch))
            if size > ENOUGH:
                self._commit_some(some, done)
                some, size = [], 0
        if some:
            self._commit_some(some, done)
        return done

    def _commit_some(self, batches: list[Sequence[Change]], done: Committed) -> None:
        state = self.state
        try:
            self._heal()
            state.begin()
            results = [[self._made(change) for change in batch] for batch in batches]
            accounts = list(state.touched())
            for account in accounts:
                account.flush()
            if state.group:
                self._write(state)
        except OSError as error:
            state.forget()
            refused = Refused(Problem.UNAVAILABLE, f"the store cannot be written: {error.strerror or error}")
            done.results.extend([refused] * len(batch) for batch in batches)
            return
        except BaseException:
            state.forget()  # a mistake of ours: memory must not run ahead of the disk
            raise
        done.results.extend(results)
        done.published.extend(each for each in (account.published() for account in accounts) if each)
        state.committed()
        if self._log is not None and self._log.size > self._limit:
            self._cut_elsewhere()

    def _made(self, change: Change) -> Result:
        try:
            return _HANDLERS[type(change)](self.state, change)
        except Refusal as refusal:
            return refusal.refused

    def _write(self, state: State) -> None:
        group = state.group
        if group.size > LARGEST // 2:
            raise OSError("more than a group can hold")
        # A log that is written and files that cannot be: that would be a long repair for a full disk.
        if self._fs.free(self._root)[0] < self._reserve + 3 * group.size:
            raise OSError("the disk is full")
        state.big.settle()
        self._append(group.payload(state.uidvalidity))
        self._broken = True
        try:
            group.carry_out(self._files)
            self._broken = False
        except OSError:
            # It is durable: what is in doubt is only how much of it is in the files.
            self._heal()

    def _append(self, payload: list[bytes]) -> None:
        log = self._log or self._begin_log()
        try:
            log.append(payload)
        except OSError:
            self._end_log()
            raise

    def _begin_log(self) -> Log:
        number = max(self._next, *logs(self._fs, self._folder), 0) + 1
        head = LogHead(number, self._name, self._clock(), *self._last)
        self._log = Log.begin(self._fs, self._folder, head, self._random)
        self._next = number
        return self._log

    def _end_log(self) -> None:
        if self._log is not None:
            self._last = (self._log.number, self._log.lsn)
            self._log.close()
        self._log = None

    # -- keeping the logs short

    def _recovered(self) -> Checkpoint:
        with self._lock:
            checkpoint = Replay(self._fs, self._root, self._name, report=self._report).run()
        self.state.uidvalidity = max(self.state.uidvalidity, checkpoint.uidvalidity)
        return checkpoint

    def _heal(self) -> None:
        """After files could not be written although the log was: do again what the logs say. Raises OSError."""
        if self._broken:
            self._end_log()
            self._files.close()
            self.state.forget()
            self._next = self._recovered().first
            self._last = (0, 0)
            self._broken = False

    def checkpoint(self) -> None:
        """Make all files durable and cut the logs. Raises OSError."""
        self.turn_log()()

    def turn_log(self) -> Callable[[], None]:
        """Begin another log with the next commit; gives what makes the files durable and cuts the logs before it.

        That may run in another thread, while commits go on. It raises OSError.
        """
        self._heal()
        self._end_log()
        self._next = max(self._next, *logs(self._fs, self._folder), 0)
        return partial(self._cut, Checkpoint(self._next + 1, self.state.uidvalidity))

    def _cut(self, checkpoint: Checkpoint) -> None:
        with self._lock:
            try:
                cut(self._fs, self._root, self._folder, checkpoint)
            except OSError:
                # CRASH: a syncfs that failed has lost octets the kernel thinks clean: only the logs can write them.
                self._broken = True
                raise

    def compact(self, account: AccountId, plan: Plan | None = None) -> bool:
        """Put an account in place that was laid anew, if it did not change meanwhile. Raises OSError.

        Without a plan it is laid anew here and now.
        """
        self._heal()
        try:
            plan = plan or Compaction(self._fs, self._root, account).prepare()
            now = Folder(self._fs, f"{self._root}/{account_folder(account)}", account)
            if any(now.octets(place) != octets for place, octets in plan.before.items()):
                return False
        except Torn as error:
            raise OSError("the account is damaged") from error
        state, folder = self.state, account_folder(account)
        state.due.discard(account)
        state.begin()
        for place, slot in sorted(plan.slots.items()):
            state.group.write(f"{folder}/head", place * SLOT, pack_slot(slot))
        state.group.write(f"{folder}/head", 0, pack_head(plan.head))
        for name in plan.old:
            state.group.remove(f"{folder}/{name}")
        try:
            self._write(state)
        finally:
            state.forget()
        return True

    def _cut_elsewhere(self) -> None:
        try:
            self.background(partial(self._report_failure, self.turn_log()))
        except OSError as error:
            self._report(f"a checkpoint of the store failed: {error.strerror or error}")

    def _report_failure(self, call: Callable[[], None]) -> None:
        try:
            call()
        except OSError as error:
            self._report(f"a checkpoint of the store failed: {error.strerror or error}")

    def idle(self) -> None:
        """Nothing is to be done for a while: keep no account's files open."""
        self._files.trim(0)

    def close(self) -> None:
        """Leave nothing to recover. Raises OSError: then there is something to recover."""
        try:
            if self._log is not None or self._broken:
                self.checkpoint()
        finally:
            self.drop()

    def drop(self) -> None:
        """Let go of all files, as they are."""
        self._end_log()
        self._files.close()


def _weight(change: Change) -> int:
    """Guess the octets a change will write."""
    match change:
        case changes.Append():
            return sum(_octets(message) for message in change.messages)
        case changes.Deliver() | changes.Replace():
            return _octets(change.message)
        case _:
            return 1000


def _octets(message: changes.Message) -> int:
    content = message.content
    return len(message.prefix) + (len(content) if isinstance(content, bytes) else content.length)
