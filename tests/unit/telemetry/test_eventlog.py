"""The writing side of the event log."""

import errno
import json
import os

import msgspec
import pytest

from penfold.routing.base import Step
from penfold.telemetry import Batch, EventLog, Metrics, eventlog, events, sweep


def delivered(number=1, **more):
    return events.Delivered(at=1_700_000_000.5, id="A00000100001", number=number, recipient="ada@example.org", **more)


def lines(directory):
    return [line for name in sorted(os.listdir(directory)) for line in (directory / name).read_bytes().splitlines()]


def test_an_event_is_one_json_line_that_reads_back_as_the_same_value(tmp_path):
    log = EventLog(str(tmp_path / "events"), "receive", pid=7)
    event = events.Routed(
        at=1.5,
        session="s",
        id="A1",
        number=2,
        recipient="a@b.c",
        mailer="local",
        steps=(Step("alias", "to bob", "aliases:3"),),
    )
    log.record(event)
    log.close()
    (line,) = lines(tmp_path / "events")
    assert json.loads(line)["kind"] == "routed"
    assert msgspec.json.decode(line, type=events.AnyEvent) == event


def test_nothing_is_written_before_the_flush_and_all_of_it_in_one_call(tmp_path, monkeypatch):
    calls = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(len(data)) or write(fd, data))
    log = EventLog(str(tmp_path), "receive")
    for number in range(50):
        log.record(delivered(number))
    assert calls == []
    log.flush()
    assert len(calls) == 1
    assert len(lines(tmp_path)) == 50
    log.flush()
    assert len(calls) == 1
    log.close()


def test_a_full_buffer_is_written_without_waiting_for_the_flush(tmp_path):
    log = EventLog(str(tmp_path), "receive")
    for number in range(1000):
        log.record(delivered(number))
    assert len(lines(tmp_path)) > 100
    log.close()


def test_a_file_is_closed_at_its_size_and_names_sort_by_time(tmp_path):
    moments = iter(range(1_700_000_000, 1_700_001_000))
    log = EventLog(str(tmp_path), "queue", pid=9, file_size=1000, clock=lambda: float(next(moments)))
    for number in range(40):
        log.record(delivered(number))
        log.flush()
    log.close()
    names = sorted(os.listdir(tmp_path))
    assert len(names) > 3
    assert names[0] == "20231114T221320.000000-queue-9.jsonl"
    assert [json.loads(line).get("number") for line in lines(tmp_path)] == list(range(40))


def test_two_files_of_one_moment_do_not_collide(tmp_path):
    for _ in range(3):
        log = EventLog(str(tmp_path), "queue", pid=9, clock=lambda: 1_700_000_000.0)
        log.record(delivered())
        log.close()
    assert len(os.listdir(tmp_path)) == 3


def test_a_symbolic_link_in_the_way_is_never_followed(tmp_path):
    (tmp_path / "events").mkdir()
    os.symlink(tmp_path / "target", tmp_path / "events" / eventlog.file_name(1_700_000_000.0, "queue-9"))
    log = EventLog(str(tmp_path / "events"), "queue", pid=9, clock=lambda: 1_700_000_000.0)
    log.record(delivered())
    log.close()
    assert not (tmp_path / "target").exists()


def test_what_is_no_unicode_or_endless_is_tamed_and_keeps_its_ids(tmp_path):
    log = EventLog(str(tmp_path), "receive")
    log.record(events.SessionOpened(at=1.0, session="s1", role="smtp", client="\udcff"))
    log.record(delivered(place="x" * 1_000_000))
    log.record(
        events.RecipientRefused(
            at=1.0, recipient="a\ud800@b", reply="550", steps=tuple(Step("r", "d" * 999) for _ in range(90))
        )
    )
    log.close()
    found = [msgspec.json.decode(line, type=events.AnyEvent) for line in lines(tmp_path)]
    assert found[0].client == "\\udcff"
    assert found[1].id == "A00000100001"
    assert len(found[1].place) == eventlog.LONGEST_TEXT
    assert found[2].recipient == "a\\ud800@b"
    assert len(found[2].steps) == 30


def test_a_full_disk_loses_events_counts_them_and_closes_the_torn_line(tmp_path, monkeypatch):
    write = os.write
    log = EventLog(str(tmp_path), "receive")
    log.record(delivered(1))
    log.flush()

    room = [20]

    def short(fd, data):
        if room:
            return write(fd, data[: room.pop()])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", short)
    log.record(delivered(2))
    log.flush()
    assert log.lost > 0
    monkeypatch.setattr(os, "write", write)
    log.record(delivered(3))
    log.close()
    numbers = []
    for line in lines(tmp_path):
        try:
            numbers.append(json.loads(line)["number"])
        except ValueError:
            numbers.append("torn")
    assert numbers == [1, "torn", 3]


def test_a_directory_that_cannot_be_made_never_raises(tmp_path):
    (tmp_path / "file").write_text("")
    metrics = Metrics()
    log = EventLog(str(tmp_path / "file" / "events"), "receive", on_loss=metrics.events_lost)
    log.record(delivered())
    log.flush()
    log.close()
    assert log.lost > 0
    assert metrics.total("penfold_events_lost_octets_total") == log.lost


def test_a_batch_travels_to_another_log_and_is_bounded(tmp_path):
    batch = Batch(most=1000)
    for number in range(100):
        batch.record(delivered(number))
    assert batch.lost > 80
    log = EventLog(str(tmp_path), "queue")
    log.append(batch.take())
    log.close()
    assert len(lines(tmp_path)) == 100 - batch.lost
    assert batch.take() == b""


@pytest.mark.parametrize(("most", "oldest", "left"), [(10_000, 1e9, 5), (2500, 1e9, 2), (0, 1e9, 0), (10_000, 350, 2)])
def test_retention_removes_the_oldest_files_by_size_and_by_age(tmp_path, most, oldest, left):
    for number in range(5):
        path = tmp_path / eventlog.file_name(number * 100.0, "queue-1")
        path.write_bytes(b"x" * 1000)
        os.utime(path, (number * 100.0, number * 100.0))
    (tmp_path / "not-ours.txt").write_text("kept")
    removed = sweep(str(tmp_path), 600.0, most_octets=most, oldest=oldest)
    names = sorted(name for name in os.listdir(tmp_path) if name.endswith(".jsonl"))
    assert len(names) == left
    assert len(removed) == 5 - left
    assert all(name > gone for name in names for gone in removed)
    assert (tmp_path / "not-ours.txt").exists()


def test_a_file_written_a_moment_ago_is_kept_whatever_its_size(tmp_path):
    path = tmp_path / eventlog.file_name(1000.0, "queue-1")
    path.write_bytes(b"x" * 1000)
    os.utime(path, (1000.0, 1000.0))
    assert sweep(str(tmp_path), 1030.0, most_octets=0, oldest=0) == []
    assert sweep(str(tmp_path / "none"), 1030.0, most_octets=0, oldest=0) == []
