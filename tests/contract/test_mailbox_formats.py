"""One suite over all mailbox formats: what goes in comes out, whole or not at all."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.mailbox_material import (
    FORMATS,
    Box,
    BrokenBody,
    FailingFileSystem,
    LongOctets,
    contents,
    message,
    wire,
)

from penfold.formats import Format, MailboxReader, MailboxWriter, Stored, detect, reply_of
from penfold.fs.posix import PosixFileSystem

NASTY = {
    "from lines": b"A: b\r\n\r\nFrom here\r\n>From there\r\n>>>From far\r\n> From not\r\nFrom\r\n",
    "first line": b"From me\r\n\r\nx\r\n",
    "dots": b"A: b\r\n\r\n.\r\n..\r\n.x\r\n",
    "no body": b"A: b\r\n\r\n",
    "no empty line": b"A: b\r\n",
    "many empty lines": b"A: b\r\n\r\n\r\n\r\n\r\n",
    "eight bit": b"A: \xe4\r\n\r\n\x00\xff\x80\r\n",
    "content length": b"Content-Length: 3\r\n\r\nabcdefg\r\n\r\nFrom x Mon Jan  1 00:00:00 2024\r\n",
    "lone cr": b"A: b\r\n\r\nx\ry\r\n",
    "like a separator": b"A: b\r\n\r\n\x01\x01\x01\r\n\x01\x01\x01\x01\x01\r\nx\x01\x01\x01\x01\r\n",
}


@pytest.fixture(params=sorted(FORMATS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "box")


@pytest.fixture
def box(kind: str, path: str) -> Box:
    return FORMATS[kind](PosixFileSystem(), path)


def test_writers_and_readers_have_the_methods_of_the_seam(box: Box):
    writer: MailboxWriter = box
    reader: MailboxReader = box
    assert callable(writer.deliver)
    assert callable(reader.scan)


@pytest.mark.parametrize("batch", [1, 3, 4, 25])
def test_what_is_delivered_is_read_back_octet_for_octet(box: Box, batch: int):
    messages = [message(number) for number in range(1, 26)]
    for start in range(0, len(messages), batch):
        results = box.deliver(messages[start : start + batch])
        assert all(isinstance(result, Stored) for result in results)
    assert contents(box) == [wire(each) for each in messages]


@pytest.mark.parametrize("name", sorted(NASTY))
def test_nasty_bodies_come_back_unchanged(box: Box, name: str):
    messages = [message(1), message(2, NASTY[name]), message(3)]
    box.deliver(messages)
    assert contents(box) == [wire(each) for each in messages]


@pytest.mark.parametrize("name", sorted(NASTY))
@pytest.mark.parametrize("step", [1, 3, 7, 64])
def test_large_bodies_come_back_unchanged_however_they_are_cut(box: Box, name: str, step: int):
    messages = [message(1), message(2, LongOctets(NASTY[name], step)), message(3)]
    assert all(isinstance(result, Stored) for result in box.deliver(messages))
    assert contents(box) == [wire(each) for each in messages]


def test_a_body_of_megabytes_is_streamed(box: Box):
    body = b"A: b\r\n\r\n" + b"0123456789 " * 7 * 20_000 + b"\r\nFrom x\r\n"
    box.deliver([message(1, body), message(2)])
    assert contents(box) == [wire(message(1, body)), wire(message(2))]


def test_results_tell_where_the_message_lies(box: Box, kind: str):
    first, second = box.deliver([message(1), message(2)])
    assert isinstance(first, Stored)
    assert isinstance(second, Stored)
    assert (first.name, first.offset) != (second.name, second.offset)
    assert first.size > 0


def test_an_empty_batch_is_no_work(box: Box):
    assert box.deliver([]) == []


def test_flags_come_back(box: Box):
    flags = frozenset({"\\Seen", "\\Flagged", "\\Answered"})
    box.deliver([message(1, flags=flags), message(2)])
    by_subject = {b"message 1" in box.read(entry): entry.flags for entry in box.scan()}
    assert by_subject == {True: flags, False: frozenset()}


def test_one_unreadable_body_does_not_fail_the_others(box: Box):
    results = box.deliver([message(1), message(2, BrokenBody(b"x")), message(3)])
    assert [isinstance(result, Stored) for result in results] == [True, False, True]
    assert contents(box) == [wire(message(1)), wire(message(3))]


def test_a_missing_directory_above_is_an_error_and_nothing_is_made(kind: str, tmp_path: Path):
    box = FORMATS[kind](PosixFileSystem(), str(tmp_path / "missing" / "box"))
    (result,) = box.deliver([message()])
    assert isinstance(result, OSError)
    assert reply_of(result).transient
    assert list(tmp_path.iterdir()) == []


def test_the_format_is_recognised(box: Box, kind: str, path: str):
    box.deliver([message()])
    assert detect(PosixFileSystem(), path) is Format(kind)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_disk_that_fails_at_any_call_leaves_whole_messages_and_true_answers(kind: str, tmp_path: Path, batch: int):
    for at in range(1, 200):
        path = str(tmp_path / f"box{at}")
        FORMATS[kind](PosixFileSystem(), path).deliver([message(100)])
        disk = FailingFileSystem(at)
        messages = [message(number) for number in range(1, batch + 1)]
        results = FORMATS[kind](disk, path).deliver(messages)
        if len(disk.calls) < at:
            assert at > batch
            assert all(isinstance(result, Stored) for result in results)
            return
        found = contents(FORMATS[kind](PosixFileSystem(), path))
        possible = [wire(message(100)), *map(wire, messages)]
        assert all(each in possible for each in found), disk.calls
        stored = [wire(each) for each, result in zip(messages, results, strict=True) if isinstance(result, Stored)]
        assert found.count(wire(message(100))) == 1
        assert all(found.count(each) == 1 for each in stored), disk.calls
    pytest.fail("the batch never went through")


@pytest.mark.parametrize("batch", [1, 5])
def test_what_failed_can_be_delivered_again(kind: str, tmp_path: Path, batch: int):
    for at in range(1, 60):
        path = str(tmp_path / f"box{at}")
        messages = [message(number) for number in range(1, batch + 1)]
        first = FORMATS[kind](FailingFileSystem(at), path).deliver(messages)
        again = [each for each, result in zip(messages, first, strict=True) if not isinstance(result, Stored)]
        box = FORMATS[kind](PosixFileSystem(), path)
        assert all(isinstance(result, Stored) for result in box.deliver(again))
        found = contents(box)
        assert set(found) == {wire(each) for each in messages}


def _deliver_many(kind: str, path: str, first: int, count: int) -> None:
    box = FORMATS[kind](PosixFileSystem(), path)
    for number in range(first, first + count, 2):
        assert all(isinstance(result, Stored) for result in box.deliver([message(number), message(number + 1)]))


def test_two_processes_on_one_mailbox_lose_and_garble_nothing(kind: str, path: str):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_deliver_many, args=(kind, path, first, 30)) for first in (100, 200)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    box = FORMATS[kind](PosixFileSystem(), path)
    expected = [wire(message(number)) for first in (100, 200) for number in range(first, first + 30)]
    assert sorted(contents(box)) == sorted(expected)


def test_threads_of_one_process_do_not_get_into_each_others_way(kind: str, path: str):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda first: _deliver_many(kind, path, first, 10), (100, 200, 300, 400)))
    assert len(contents(FORMATS[kind](PosixFileSystem(), path))) == 40


def test_a_batch_of_twenty_costs_a_handful_of_syncs(kind: str, path: str):
    FORMATS[kind](PosixFileSystem(), path).deliver([message(100)])
    disk = FailingFileSystem(0)
    FORMATS[kind](disk, path).deliver([message(number) for number in range(1, 21)])
    syncs = [call for call in disk.calls if "sync" in call]
    assert len(syncs) <= 3, syncs


def test_arrival_times_come_back(box: Box, kind: str):
    box.deliver([message(1)])
    (entry,) = box.scan()
    expected = {"mbox": 1_700_000_001.0, "maildir": 1_700_000_001.0}.get(kind)
    if expected is None:
        assert entry.arrived == 0.0 or abs(entry.arrived - time.time()) < 600
    else:
        assert entry.arrived == expected
