import errno
import os
from pathlib import Path

import pytest
from tests.mailbox_material import FailingFileSystem, LongOctets, contents, message, wire

from penfold.formats import Maildir, Message, Stored, deliver_many, delivered, find_delivered, make_maildir, sweep
from penfold.formats.maildir import safe_host
from penfold.fs.posix import PosixFileSystem
from penfold.model import Permanent

FS = PosixFileSystem()
HOST = "mx.example.test"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "Maildir"


def deliver(box: Path, *messages: Message, fs: PosixFileSystem = FS) -> list[object]:
    return list(deliver_many(fs, [(str(box), each) for each in messages], host=HOST))


def files(box: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in box.rglob("*") if path.is_file())


def test_the_name_carries_time_identity_host_and_size(box: Path):
    (result,) = deliver(box, message(1))
    assert result == Stored("new/1700000001.Q0AB1R1.mx.example.test,S=117", 0, 117)
    assert files(box) == ["new/1700000001.Q0AB1R1.mx.example.test,S=117"]
    assert (box / "new" / "1700000001.Q0AB1R1.mx.example.test,S=117").stat().st_size == 117


def test_everything_is_for_its_owner_alone(box: Path):
    deliver(box, message(1))
    for directory in (box, box / "new", box / "cur", box / "tmp"):
        assert directory.stat().st_mode & 0o777 == 0o700
    assert next((box / "new").iterdir()).stat().st_mode & 0o777 == 0o600


def test_flags_bring_it_to_cur(box: Path):
    deliver(box, message(1, flags=frozenset({"\\Seen", "\\Flagged"})), message(2, flags=frozenset({"keyword"})))
    assert files(box) == [
        "cur/1700000001.Q0AB1R1.mx.example.test,S=117:2,FS",
        "cur/1700000002.Q0AB2R1.mx.example.test,S=117:2,",
    ]


def test_hosts_are_written_so_that_they_cannot_break_a_name():
    assert safe_host("a/b:c,d") == "a\\057b\\072c\\054d"
    assert safe_host("") == "localhost"


def test_many_mailboxes_share_two_syncs(tmp_path: Path):
    items = [(str(tmp_path / f"u{number}"), message(number)) for number in range(20)]
    deliver_many(FS, items, host=HOST)
    disk = FailingFileSystem(0)
    results = deliver_many(disk, [(path, message(number + 100)) for path, each in items for number in (1,)], host=HOST)
    assert all(isinstance(result, Stored) for result in results)
    assert [call for call in disk.calls if "sync" in call] == ["sync_all", "sync_all"]


def test_contents_are_durable_before_names_and_names_before_the_answer(tmp_path: Path):
    make_maildir(FS, str(tmp_path / "u"))
    for count in (1, 5):
        disk = FailingFileSystem(0)
        deliver_many(disk, [(str(tmp_path / "u"), message(number)) for number in range(count)], host=HOST)
        first_rename = disk.calls.index("rename")
        assert disk.calls[first_rename - 1] == ("datasync" if count == 1 else "sync_all")
        assert disk.calls[-1] == "sync_directory"
        assert disk.calls.count("rename") == count


def test_a_delivery_repeated_replaces_itself(box: Path):
    deliver(box, message(1))
    deliver(box, message(1))
    assert contents(Maildir(FS, str(box), host=HOST)) == [wire(message(1))]


def test_a_delivery_taken_to_cur_meanwhile_is_found(box: Path):
    deliver(box, message(1), message(12))
    name = "1700000001.Q0AB1R1.mx.example.test,S=117"
    (box / "new" / name).rename(box / "cur" / f"{name}:2,S")
    assert find_delivered(FS, str(box), "Q0AB1R1") == f"cur/{name}:2,S"
    assert find_delivered(FS, str(box), "Q0AB1R") is None
    assert find_delivered(FS, str(box), "Q0AB12R1") == "new/1700000012.Q0AB12R1.mx.example.test,S=120"
    assert delivered(FS, str(box), ["Q0AB1R1", "Q9"]) == {"Q0AB1R1": f"cur/{name}:2,S"}
    assert find_delivered(FS, str(box.parent / "none"), "Q") is None


def test_a_leftover_in_tmp_does_not_stop_the_next_attempt(box: Path):
    deliver(box, message(1))
    (box / "tmp" / "1700000002.Q0AB2R1.mx.example.test").write_bytes(b"hal")
    deliver(box, message(2))
    assert contents(Maildir(FS, str(box), host=HOST)) == [wire(message(1)), wire(message(2))]
    assert (box / "tmp" / "1700000002.Q0AB2R1.mx.example.test").read_bytes() == b"hal"


def test_old_leftovers_are_swept_and_young_ones_stay(box: Path):
    make_maildir(FS, str(box))
    for name, age in (("old", 37 * 3600), ("young", 35 * 3600)):
        (box / "tmp" / name).write_bytes(b"")
        os.utime(box / "tmp" / name, (1e9 - age, 1e9 - age))
    assert sweep(FS, str(box), 1e9) == 1
    assert files(box) == ["tmp/young"]


def test_a_maildir_is_made_only_below_an_existing_directory(tmp_path: Path):
    (result,) = deliver(tmp_path / "domain" / "user", message(1))
    assert isinstance(result, OSError)
    assert result.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_marked_as_one(box: Path):
    make_maildir(FS, str(box))
    (result,) = deliver(box / ".Sent.2026", message(1))
    assert isinstance(result, Stored)
    assert (box / ".Sent.2026" / "maildirfolder").exists()


def test_a_maildir_that_lost_its_new_is_completed(box: Path):
    make_maildir(FS, str(box))
    (box / "new").rmdir()
    assert isinstance(deliver(box, message(1))[0], Stored)


def test_one_missing_mailbox_does_not_fail_the_others(tmp_path: Path):
    items = [(str(tmp_path / name), message(number)) for number, name in enumerate(["a", "no/b", "c"])]
    results = deliver_many(FS, items, host=HOST)
    assert [isinstance(result, Stored) for result in results] == [True, False, True]


def test_an_identity_that_leads_elsewhere_is_refused(box: Path):
    good = message(1)
    bad = Message(good.prefix, good.body, "", 0.0, "../../x")
    results = deliver(box, bad, good)
    assert isinstance(results[0], Permanent)
    assert isinstance(results[1], Stored)


@pytest.mark.parametrize(("at", "count"), [(2, 1), (3, 1), (9, 4)])
def test_what_failed_leaves_nothing_behind(box: Path, at: int, count: int):
    make_maildir(FS, str(box))
    disk = FailingFileSystem(at)
    results = deliver(box, *(message(number) for number in range(count)), fs=disk)
    assert not any(isinstance(result, Stored) for result in results), disk.calls
    assert files(box) == []


def test_large_messages_are_streamed_and_their_size_is_right(box: Path):
    (result,) = deliver(box, message(1, LongOctets(b"A: b\r\n\r\n" + b"line\r\n" * 50, 7)))
    assert isinstance(result, Stored)
    assert result.name.endswith(f",S={result.size}")
    assert (box / result.name).stat().st_size == result.size


def test_a_message_that_moves_while_it_is_listed_is_told_once_and_still_read(box: Path):
    deliver(box, message(1), message(2))
    listing = Maildir(FS, str(box), host=HOST).scan()
    first = next(listing)
    (box / first.name).rename(box / "cur" / f"{first.name[4:]}:2,S")
    assert len(list(listing)) == 1
    assert Maildir(FS, str(box), host=HOST).read(first) == wire(message(1))


def test_a_message_that_is_gone_is_an_error_on_reading(box: Path):
    deliver(box, message(1))
    (entry,) = Maildir(FS, str(box), host=HOST).scan()
    (box / entry.name).unlink()
    with pytest.raises(FileNotFoundError):
        Maildir(FS, str(box), host=HOST).read(entry)


def test_foreign_names_are_listed_too(box: Path):
    make_maildir(FS, str(box))
    (box / "cur" / "odd:2,RS").write_bytes(b"A: b\n\n")
    (box / "cur" / ".hidden").write_bytes(b"")
    (entry,) = Maildir(FS, str(box), host=HOST).scan()
    assert (entry.name, entry.length, entry.flags) == ("cur/odd:2,RS", 6, {"\\Answered", "\\Seen"})
    assert entry.arrived > 1.6e9
