"""Following the event log as it grows."""

from penfold.telemetry import events
from penfold.telemetry.eventlog import EventLog
from penfold.telemetry.follow import Follower


def noted(log, *moments):
    for at in moments:
        log.record(events.Finished(at=at, id=f"M{at:g}"))
    log.flush()


def seen(follower):
    return [event.id for event in follower.look()]


def test_what_was_there_before_is_left_out_and_the_rest_comes_once(tmp_path):
    log = EventLog(str(tmp_path), "queue")
    noted(log, 1)
    follower = Follower(str(tmp_path))
    assert seen(follower) == []
    noted(log, 2, 3)
    assert seen(follower) == ["M2", "M3"]
    assert seen(follower) == []
    log.close()


def test_events_of_several_processes_come_in_the_order_of_time(tmp_path):
    follower = Follower(str(tmp_path))
    one, other = EventLog(str(tmp_path), "queue"), EventLog(str(tmp_path), "supervisor")
    noted(one, 1, 4)
    noted(other, 2, 3)
    assert seen(follower) == ["M1", "M2", "M3", "M4"]
    one.close()
    other.close()


def test_half_a_line_waits_for_its_other_half_and_a_damaged_one_is_skipped(tmp_path):
    log = EventLog(str(tmp_path), "queue")
    noted(log, 1)
    follower = Follower(str(tmp_path))
    (path,) = tmp_path.iterdir()
    with path.open("ab", buffering=0) as file:
        file.write(b'garbage\n{"kind":"finished","at":2,')
        assert seen(follower) == []
        file.write(b'"id":"M2"}\n')
    assert seen(follower) == ["M2"]
    log.close()


def test_a_directory_that_is_not_there_yet_has_no_events(tmp_path):
    assert seen(Follower(str(tmp_path / "later"))) == []
