"""The native store as one piece: syncs, descriptors, other processes, compaction, threads, restarts."""

import asyncio
import os
import subprocess
import sys
from random import Random
from types import SimpleNamespace

import pytest

from penfold.fs.posix import PosixFileSystem
from penfold.fs.recording import RecordingFileSystem, Sync
from penfold.message.summary import summary
from penfold.model import BodyRef
from penfold.store import (
    EVERY,
    AccountId,
    Append,
    Column,
    Copy,
    Create,
    CreateAccount,
    Created,
    Deliver,
    Expunge,
    How,
    Item,
    MailboxId,
    Message,
    Move,
    Purge,
    Refused,
    Stored,
    StoreFlags,
    UidSet,
)
from penfold.store.native import NativeReader, NativeStore, Writer

ADA = AccountId("ada")
BOB = AccountId("bob")


def writer_on(fs, root, **more) -> Writer:
    options = {"clock": lambda: 1000.0, "random": Random(1).randbytes, "summarise": summary, "reserve": 0}
    return Writer(fs, str(root), **{**options, **more})


def do(writer: Writer, change):
    ((result,),) = writer.commit([[change]]).results
    assert not isinstance(result, Refused), result
    return result


@pytest.fixture
def writer(tmp_path):
    writer = writer_on(PosixFileSystem(), tmp_path / "store", spill=5000)
    yield writer
    writer.drop()


@pytest.fixture
def inbox(writer) -> MailboxId:
    return do(writer, CreateAccount(ADA)).mailbox


@pytest.fixture
def reader(writer, tmp_path) -> NativeReader:
    return NativeReader(PosixFileSystem(), str(tmp_path / "store"))


def contents(reader, mailbox, account=ADA) -> list[bytes]:
    view = reader.view(account, mailbox)
    return [bytes(view.body(row)) for row in view.rows(view.roll.uids)]


def folder_of(tmp_path, account: str):
    (found,) = (tmp_path / "store").glob(f"??/{account}")
    return found


def test_a_batch_over_many_accounts_is_one_sync():
    disk = RecordingFileSystem()
    writer = writer_on(disk, "/store")
    accounts = [AccountId(f"a{number}") for number in range(50)]
    writer.commit([[CreateAccount(account) for account in accounts]])
    before = len(disk.log)
    batches = [[Deliver(account, "Q", number, Message(b"x"))] for number, account in enumerate(accounts)]
    done = writer.commit(batches)
    assert all(isinstance(result, Stored) for (result,) in done.results)
    assert len(done.published) == 50
    syncs = [operation for operation in disk.log[before:] if type(operation).__name__.startswith("Sync")]
    assert [type(each) for each in syncs] == [Sync]


def test_files_of_accounts_can_be_read_by_the_group_and_logs_by_nobody(writer, inbox, tmp_path):
    do(writer, Append(ADA, inbox, (Message(b"x" * 6000),)))
    folder = folder_of(tmp_path, "ada")
    old = os.umask(0)
    os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640 & ~old}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder.parent)} == {0o750 & ~old}
    assert (tmp_path / "store" / "log").stat().st_mode & 0o077 == 0
    assert all(log.stat().st_mode & 0o077 == 0 for log in (tmp_path / "store" / "log" / "0").iterdir())


def test_idle_accounts_have_no_open_files(tmp_path):
    writer = writer_on(PosixFileSystem(), tmp_path / "store")
    accounts = [AccountId(f"a{number}") for number in range(150)]
    writer.commit([[CreateAccount(account)] for account in accounts])
    before = len(os.listdir("/proc/self/fd"))
    writer.commit([[Deliver(account, "Q", 1, Message(b"x"))] for account in accounts])
    writer.idle()
    assert len(os.listdir("/proc/self/fd")) < before
    writer.close()


def test_changes_put_in_while_a_group_is_synced_are_made_together(tmp_path):
    async def main() -> None:
        fs, root = PosixFileSystem(), tmp_path / "store"
        store = NativeStore(writer_on(fs, root), fs, str(root))
        (made,) = await store.apply([CreateAccount(ADA)])
        assert isinstance(made, Created)
        heard = []
        store.watch(ADA, heard.append)
        results = await asyncio.gather(
            *(store.apply([Append(ADA, made.mailbox, (Message(b"%d" % number),))]) for number in range(100))
        )
        uids = [uid for (result,) in results for uid in result.uids]
        assert uids == list(range(1, 101))
        assert heard[-1].modseq == store._reader.tree(ADA).modseq
        assert [each.before for each in heard[1:]] == [each.modseq for each in heard[:-1]]
        await store.close()
        again = NativeStore(writer_on(fs, root), fs, str(root))
        view = await again.open(ADA, made.mailbox)
        assert [bytes(view.body(row)) for row in view.rows(view.roll.uids)] == [b"%d" % n for n in range(100)]
        await again.close()

    asyncio.run(main())


def test_chores_are_done_while_changes_go_on(tmp_path):
    async def main() -> None:
        fs, root = PosixFileSystem(), tmp_path / "store"
        store = NativeStore(writer_on(fs, root, limit=20_000), fs, str(root))
        ((made,),) = [await store.apply([CreateAccount(ADA)])]
        message = Message(b"x" * 5000)
        for _ in range(5):
            await asyncio.gather(*(store.apply([Append(ADA, made.mailbox, (message,))]) for _ in range(10)))
        await asyncio.gather(store.checkpoint(), store.apply([Append(ADA, made.mailbox, (message,))]))
        await store.apply([Expunge(ADA, made.mailbox, UidSet.span(2, 40), deleted=False), Purge(ADA, 1 << 40)])
        assert store.compactable() == [ADA]
        assert await store.compact(ADA)
        assert store.compactable() == []
        await store.idle()
        view = await store.open(ADA, made.mailbox)
        assert list(view.roll.uids) == [1, *range(41, 52)]
        await store.close()
        assert not list((root / "log" / "0").glob("*.log"))

    asyncio.run(main())


def test_a_mistake_in_rendering_fails_its_group_and_no_other(tmp_path):
    def careless(octets: bytes):
        if octets == b"bad":
            raise ValueError("a mistake")
        return summary(octets)

    async def main() -> None:
        fs, root = PosixFileSystem(), tmp_path / "store"
        store = NativeStore(writer_on(fs, root, summarise=careless), fs, str(root))
        (made,) = await store.apply([CreateAccount(ADA)])
        await store.apply([Append(ADA, made.mailbox, (Message(b"good"),))])
        with pytest.raises(ValueError, match="a mistake"):
            await store.apply(
                [Append(ADA, made.mailbox, (Message(b"good"),)), Append(ADA, made.mailbox, (Message(b"bad"),))]
            )
        (stored,) = await store.apply([Append(ADA, made.mailbox, (Message(b"good"),))])
        assert list(stored.uids) == [2]
        await store.close()

    asyncio.run(main())


CHILD = """
import sys
from penfold.fs.posix import PosixFileSystem
from penfold.store.native import NativeReader
reader = NativeReader(PosixFileSystem(), sys.argv[1])
view = reader.view("ada", sys.argv[2])
for line in sys.stdin:
    before = view.roll.uids[:]
    view.refresh()
    rows = view.rows(view.roll.uids)
    print(list(view.roll.uids), [bytes(view.body(row)) for row in rows], flush=True)
"""


def test_another_process_sees_what_was_published_and_follows(writer, inbox, tmp_path):
    do(writer, Append(ADA, inbox, (Message(b"a"), Message(b"b"))))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "store"), inbox]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def ask() -> str:
            child.stdin.write("\n")
            child.stdin.flush()
            return child.stdout.readline().strip()

        assert ask() == "[1, 2] [b'a', b'b']"
        do(writer, Append(ADA, inbox, tuple(Message(b"m%d" % number) for number in range(3))))
        do(writer, Expunge(ADA, inbox, UidSet.of([1, 4]), deleted=False))
        assert ask() == "[2, 3, 5] [b'b', b'm0', b'm2']"
        do(writer, Purge(ADA, 1 << 40))
        assert writer.compact(ADA)
        assert ask() == "[2, 3, 5] [b'b', b'm0', b'm2']"
        do(writer, Append(ADA, inbox, (Message(b"after"),)))
        assert ask().startswith("[2, 3, 5, 6]")
        child.stdin.close()
        assert child.wait() == 0


def test_compaction_lets_purged_octets_go_and_changes_nothing_that_can_be_seen(writer, inbox, reader, tmp_path):
    other = do(writer, Create(ADA, "other")).mailbox
    do(writer, Append(ADA, inbox, tuple(Message(b"%d" % n * 1000, ("\\Seen",)) for n in range(8))))
    do(writer, Append(ADA, inbox, (Message(b"B" * 6000), Message(b"C" * 7000))))
    do(writer, Copy(ADA, inbox, UidSet.of([2, 3, 9]), other))
    do(writer, StoreFlags(ADA, inbox, UidSet.of([5]), How.ADD, ("$Junk",)))
    since = reader.view(ADA, inbox).counts().highestmodseq
    do(writer, Expunge(ADA, inbox, UidSet.of([1, 2, 10]), deleted=False))
    do(writer, Purge(ADA, 1 << 40))
    do(writer, Expunge(ADA, inbox, UidSet.of([4]), deleted=False))
    view = reader.view(ADA, inbox)
    held = view.rows(view.roll.uids)
    before = (contents(reader, inbox), contents(reader, other), reader.tree(ADA), view.counts())
    changed = view.columns([Column.UID], view.changes(since - 1).rows)
    folder = folder_of(tmp_path, "ada")
    assert len(list(folder.glob("big.*"))) == 2
    size = (folder / "pack.0").stat().st_size
    assert writer.compact(ADA)
    assert (folder / "pack.1").stat().st_size < size
    assert not (folder / "pack.0").exists()
    assert len(list(folder.glob("big.*"))) == 1
    # Rows of before still lead to the same octets, although the old files are gone.
    assert [bytes(view.body(row)) for row in held] == before[0]
    assert len(view.rendered(Item.ENVELOPE, held)) == len(held)
    assert (contents(reader, inbox), contents(reader, other), reader.tree(ADA), view.counts()) == before
    view = reader.view(ADA, inbox)
    assert view.columns([Column.UID], view.changes(since - 1).rows) == changed
    assert list(view.columns([Column.UID], view.recoverable())[0]) == [4]
    assert writer.state.account(ADA).head.dead == 0
    do(writer, Append(ADA, inbox, (Message(b"after"),)))
    assert contents(reader, inbox)[-1] == b"after"


def test_a_view_that_read_nothing_before_a_compaction_finds_the_octets(writer, inbox, reader):
    do(writer, Append(ADA, inbox, tuple(Message(b"%d" % n) for n in range(4))))
    view = reader.view(ADA, inbox)
    do(writer, Expunge(ADA, inbox, UidSet.of([1]), deleted=False))
    do(writer, Purge(ADA, 1 << 40))
    assert writer.compact(ADA)
    rows = list(view.rows(view.roll.uids))
    with pytest.raises(OSError, match="not there any more"):
        view.body(0)
    assert [bytes(view.body(row)) for row in rows[-3:]] == [b"1", b"2", b"3"]
    assert len(view.rendered(Item.ENVELOPE, rows[-3:])) == 3


def test_what_changed_is_known_also_from_a_view_of_before_a_compaction(writer, inbox, reader):
    do(writer, Append(ADA, inbox, tuple(Message(b"%d" % n) for n in range(4))))
    since = reader.view(ADA, inbox).counts().highestmodseq
    do(writer, StoreFlags(ADA, inbox, UidSet.of([3]), How.ADD, ("\\Seen",)))
    do(writer, Expunge(ADA, inbox, UidSet.of([1]), deleted=False))
    view = reader.view(ADA, inbox)
    assert writer.compact(ADA)
    changes = view.changes(since)
    assert list(view.columns([Column.UID], changes.rows)[0]) == [3]
    assert (list(changes.vanished), changes.complete) == ([1], True)
    assert view.refresh()
    assert list(view.changes(since).vanished) == [1]


def test_an_account_that_changed_meanwhile_is_not_put_in_place(writer, inbox, reader, tmp_path):
    from penfold.store.native.compaction import Compaction

    do(writer, Append(ADA, inbox, (Message(b"a"),)))
    plan = Compaction(PosixFileSystem(), str(tmp_path / "store"), ADA).prepare()
    do(writer, Append(ADA, inbox, (Message(b"b"),)))
    assert not writer.compact(ADA, plan)
    assert contents(reader, inbox) == [b"a", b"b"]
    assert writer.compact(ADA)
    assert contents(reader, inbox) == [b"a", b"b"]


def test_large_bodies_are_files_and_are_linked_into_other_accounts(writer, inbox, reader, tmp_path):
    theirs = do(writer, CreateAccount(BOB)).mailbox
    do(writer, Append(ADA, inbox, (Message(b"x" * 6000, prefix=b"A: b\r\n"),)))
    do(writer, Copy(ADA, inbox, EVERY, theirs, BOB))
    (mine,) = folder_of(tmp_path, "ada").glob("big.*")
    assert mine.stat().st_nlink == 2
    assert (folder_of(tmp_path, "ada") / "pack.0").stat().st_size < 100
    assert contents(reader, inbox) == contents(reader, theirs, BOB) == [b"A: b\r\n" + b"x" * 6000]
    view = reader.view(BOB, theirs)
    assert bytes(view.body(0, 4, 5)) == b"\r\nxxx"
    do(writer, Move(ADA, inbox, EVERY, theirs, BOB))
    assert len(contents(reader, theirs, BOB)) == 2


class LinkingBodies:
    """Bodies of a queue: each a file."""

    def __init__(self, folder, fs) -> None:
        self.folder, self.fs, self.links = folder, fs, 0

    def open(self, ref: BodyRef):
        content = ref.prefix + (self.folder / ref.file).read_bytes()[ref.offset : ref.offset + ref.length]
        return SimpleNamespace(size=len(content), read=lambda: content)

    def link(self, ref: BodyRef, path: str) -> bool:
        if ref.offset or (self.folder / ref.file).stat().st_size != ref.length:
            return False
        self.fs.link(str(self.folder / ref.file), path)
        self.links += 1
        return True


def test_a_large_body_is_taken_over_from_the_queue_without_a_copy(tmp_path):
    fs = PosixFileSystem()
    bodies = LinkingBodies(tmp_path, fs)
    content = b"Subject: big\r\n\r\n" + b"y" * 9000
    (tmp_path / "body").write_bytes(content)
    writer = writer_on(fs, tmp_path / "store", bodies=bodies, spill=5000)
    reader = NativeReader(fs, str(tmp_path / "store"))
    inbox = do(writer, CreateAccount(ADA)).mailbox
    theirs = do(writer, CreateAccount(BOB)).mailbox
    whole = Message(BodyRef("body", 0, len(content), b"Received: x\r\n"), prefix=b"Return-Path: <>\r\n")
    part = Message(BodyRef("body", 3, 6000))
    do(writer, Append(ADA, inbox, (whole, part)))
    do(writer, Copy(ADA, inbox, EVERY, theirs, BOB))
    assert bodies.links == 1
    (tmp_path / "body").unlink()
    first = b"Return-Path: <>\r\nReceived: x\r\n" + content
    for _ in range(2):
        assert contents(reader, inbox) == contents(reader, theirs, BOB) == [first, content[3:6003]]
        view = reader.view(ADA, inbox)
        for start, length in ((0, 5), (10, 30), (31, 3), (40, 100), (len(first) - 2, 50), (5, None), (len(first), 3)):
            stop = None if length is None else start + length
            assert bytes(view.body(0, start, length)) == first[start:stop]
        assert writer.compact(ADA)
        assert writer.compact(BOB)
    writer.drop()


def test_a_full_disk_is_answered_and_nothing_is_written():
    disk = RecordingFileSystem()
    writer = writer_on(disk, "/store")
    inbox = do(writer, CreateAccount(ADA)).mailbox
    disk.space = 10
    ((result,),) = writer.commit([[Append(ADA, inbox, (Message(b"x"),))]]).results
    assert (result.problem, result.text) == ("UNAVAILABLE", "the store cannot be written: the disk is full")
    disk.space = 1 << 40
    assert list(do(writer, Append(ADA, inbox, (Message(b"x"),))).uids) == [1]


def test_a_checkpoint_leaves_no_log_and_a_restart_nothing_to_do(writer, inbox, reader, tmp_path):
    do(writer, Append(ADA, inbox, (Message(b"x"),)))
    logs = tmp_path / "store" / "log" / "0"
    assert len(list(logs.glob("*.log"))) == 1
    writer.checkpoint()
    assert not list(logs.glob("*.log"))
    do(writer, Append(ADA, inbox, (Message(b"y"),)))
    writer.close()
    assert not list(logs.glob("*.log"))
    again = writer_on(PosixFileSystem(), tmp_path / "store")
    assert list(do(again, Append(ADA, inbox, (Message(b"z"),))).uids) == [3]
    again.drop()
    assert contents(reader, inbox) == [b"x", b"y", b"z"]


def test_a_log_grown_long_is_cut_by_itself(tmp_path):
    writer = writer_on(PosixFileSystem(), tmp_path / "store", limit=5000)
    inbox = do(writer, CreateAccount(ADA)).mailbox
    for _ in range(20):
        do(writer, Append(ADA, inbox, (Message(b"x" * 900),)))
    logs = list((tmp_path / "store" / "log" / "0").glob("*.log"))
    assert sum(log.stat().st_size for log in logs) < 8000
    writer.drop()


def test_damage_in_the_middle_of_a_log_is_told_and_kept_for_people(tmp_path):
    reports: list[str] = []
    writer = writer_on(PosixFileSystem(), tmp_path / "store")
    inbox = do(writer, CreateAccount(ADA)).mailbox
    for number in range(5):
        do(writer, Append(ADA, inbox, (Message(b"marker-%d" % number),)))
    writer.drop()
    (log,) = (tmp_path / "store" / "log" / "0").glob("*.log")
    octets = bytearray(log.read_bytes())
    octets[octets.index(b"marker-2")] ^= 1
    log.write_bytes(octets)
    writer_on(PosixFileSystem(), tmp_path / "store", report=reports.append).drop()
    assert len(reports) == 1
    assert "damaged/log-" in reports[0]
    assert len(list((tmp_path / "store" / "damaged").iterdir())) == 1


def test_the_tree_file_does_not_grow_for_ever(writer, inbox, reader, tmp_path):
    for number in range(60):
        do(writer, Create(ADA, f"a-name-of-some-length-{number}"))
    length = writer.state.account(ADA).head.image
    folder = folder_of(tmp_path, "ada")
    (tree,) = folder.glob("tree.*")
    assert tree.name != "tree.0"
    assert tree.stat().st_size < 65536 + 9 * length
    assert len(reader.tree(ADA).mailboxes) == 61


def test_what_is_no_account_is_not_looked_for_on_the_disk(writer, reader):
    ((result,),) = writer.commit([[CreateAccount(AccountId("../x"))]]).results
    assert result.problem == "CANNOT"
    assert isinstance(reader.tree(AccountId("../log")), Refused)
    assert isinstance(reader.view(AccountId("log"), MailboxId("0")), Refused)
    assert reader.accounts() == []
