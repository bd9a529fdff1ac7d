"""Windows, dead hosts, turns, bounds."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.transport.dispatch.fakes import DOWN, envelope, recipient

from penfold.model import BodyRef, Job, QueueId, Route, Target
from penfold.queue.base import Pending
from penfold.transport.dispatch import lanes as lanes_module
from penfold.transport.dispatch.lanes import SMTP, BackOff, LanePolicy, Lanes
from penfold.transport.dispatch.parcel import Parcel

BOB = recipient("bob@there.example")


def parcel(count: int = 1, *, since: float = 0.0) -> Parcel:
    targets = tuple(Target(number, BOB, Route("smtp", "x", "y")) for number in range(count))
    job = Job(QueueId("T"), envelope(), BodyRef("f", 0, 1), targets)
    return Parcel(job, tuple(Pending(number, BOB) for number in range(count)), since)


def fill(lanes: Lanes, name: str, count: int) -> None:
    for _ in range(count):
        assert lanes.push(name, "smtp", parcel())


def finish(lanes: Lanes, lane, count: int, *, reached: bool = True, now: float = 0.0) -> list[Parcel]:
    doomed = []
    for _ in range(count):
        if reached:
            lanes.reached(lane)
        else:
            doomed += lanes.missed(lane, DOWN, now, 0.5)
        lanes.released(lane, 1)
        lanes.job_over(lane)
    lanes.call_over(lane)
    return doomed


def test_a_new_lane_starts_with_the_initial_window():
    lanes = Lanes()
    fill(lanes, "a", 30)
    ((_, parcels),) = lanes.take()
    assert len(parcels) == 5
    assert list(lanes.take()) == []


def test_the_window_widens_by_one_for_each_window_of_successes_up_to_its_limit():
    lanes = Lanes()
    fill(lanes, "a", 400)
    sizes = []
    for _ in range(25):
        ((lane, parcels),) = lanes.take()
        sizes.append(len(parcels))
        finish(lanes, lane, len(parcels))
    assert sizes[:4] == [5, 5, 6, 7]
    assert sizes[-1] == 20
    assert max(sizes) == 20


def test_a_lane_that_never_answered_dies_of_its_first_failure():
    lanes = Lanes()
    fill(lanes, "a", 30)
    ((lane, parcels),) = lanes.take()
    doomed = finish(lanes, lane, len(parcels), reached=False, now=100.0)
    assert len(doomed) == 25
    assert lanes.dead("a", 100.0) is lane
    assert lanes.dead("a", 159.0) is lane
    assert lanes.dead("a", 161.0) is None


def test_a_lane_that_answered_survives_single_failures_with_a_narrower_window():
    lanes = Lanes()
    fill(lanes, "a", 100)
    ((lane, _),) = lanes.take()
    finish(lanes, lane, 5)
    ((lane, _),) = lanes.take()
    before = lane.window
    assert lanes.missed(lane, DOWN, 0.0, 0.5) == []
    assert lane.window == before - 1
    assert lanes.dead("a", 1.0) is None


def test_a_lane_that_answered_dies_of_a_window_of_failures():
    lanes = Lanes()
    fill(lanes, "a", 100)
    ((lane, parcels),) = lanes.take()
    finish(lanes, lane, 5)
    ((lane, parcels),) = lanes.take()
    doomed = finish(lanes, lane, len(parcels), reached=False)
    assert doomed
    assert lanes.dead("a", 1.0) is lane


def test_after_its_back_off_one_job_probes_a_dead_lane():
    lanes = Lanes()
    fill(lanes, "a", 5)
    ((lane, parcels),) = lanes.take()
    finish(lanes, lane, 5, reached=False)
    fill(lanes, "a", 10)
    ((lane, parcels),) = lanes.take()
    assert len(parcels) == 1
    finish(lanes, lane, 1)
    ((lane, parcels),) = lanes.take()
    assert len(parcels) == 5


def test_the_back_off_doubles_with_every_failed_probe_up_to_its_limit():
    back_off = BackOff(first=60, most=3600)
    assert [back_off.after(n) for n in (1, 2, 3, 7, 2000)] == [60, 120, 240, 3600, 3600]


def test_lanes_take_turns_under_the_total_of_their_mailer():
    lanes = Lanes({"smtp": LanePolicy(total=10)})
    for name in "abcd":
        fill(lanes, name, 20)
    calls = list(lanes.take())
    assert [lane.name for lane, _ in calls] == ["a", "b"]
    finish(lanes, calls[0][0], 5)
    assert [lane.name for lane, _ in lanes.take()] == ["c"]
    finish(lanes, calls[1][0], 5)
    assert [lane.name for lane, _ in lanes.take()] == ["d"]


def test_a_full_lane_is_closed_and_opens_at_half_its_share():
    lanes = Lanes({"smtp": LanePolicy(share=10)})
    fill(lanes, "a", 10)
    assert lanes.closed == {"a"}
    ((lane, _),) = lanes.take()
    finish(lanes, lane, 4)
    assert lanes.closed == {"a"}
    lanes.released(lane, 1)
    assert lanes.closed == set()


def test_a_full_lane_takes_more_while_it_is_quick_and_refuses_when_it_is_slow():
    lanes = Lanes({"smtp": LanePolicy(share=10)}, patience=2.0)
    fill(lanes, "a", 10)
    assert lanes.push("a", "smtp", parcel(since=1.0))
    assert not lanes.push("a", "smtp", parcel(since=3.0))


def test_a_slow_lane_sheds_what_it_holds_beyond_its_share_newest_first():
    lanes = Lanes({"smtp": LanePolicy(share=10)}, patience=2.0)
    fill(lanes, "a", 10)
    last = parcel(3, since=1.0)
    lanes.push("a", "smtp", last)
    assert lanes.overfull()
    assert lanes.shed(1.5) == []
    assert [shed for _, shed in lanes.shed(10.0)] == [last]
    assert not lanes.overfull()


def test_a_million_destinations_leave_a_bounded_memory(monkeypatch):
    monkeypatch.setattr(lanes_module, "MEMORY", 50)
    lanes = Lanes()
    for number in range(500):
        fill(lanes, f"a{number}", 1)
        ((lane, _),) = lanes.take()
        finish(lanes, lane, 1, reached=number % 2 == 0)
    assert len(lanes) == 50
    assert lanes.dead("a499", 1.0) is not None
    assert lanes.dead("a1", 1.0) is None


def test_local_calls_are_large_and_two_at_a_time():
    lanes = Lanes()
    for _ in range(500):
        lanes.push("local", "local", parcel())
    assert [len(parcels) for _, parcels in lanes.take()] == [200, 200]


def test_draining_gives_everything_that_waits():
    lanes = Lanes()
    fill(lanes, "a", 7)
    list(lanes.take())
    assert len(lanes.drain()) == 2
    assert list(lanes.take()) == []


@given(st.lists(st.tuples(st.sampled_from("pfts"), st.sampled_from("abc")), max_size=200))
def test_whatever_happens_no_window_is_exceeded_and_nothing_is_lost(actions):
    """p: a parcel comes; s, f: a job ends well, badly; t: time passes."""
    lanes = Lanes({"smtp": LanePolicy(total=25)})
    flying: list = []
    pushed, out, now = 0, 0, 0.0
    for action, name in actions:
        if action == "p" and lanes.dead(name, now) is None:
            lanes.push(name, "smtp", parcel(since=now))
            pushed += 1
        elif action in "fs" and flying:
            lane = flying.pop()
            doomed = finish_one(lanes, lane, action == "s", now)
            out += 1 + len(doomed)
        else:
            now += 30
        for lane, parcels in lanes.take():
            lane.calls += len(parcels) - 1  # each job ends by itself here
            flying += [lane] * len(parcels)
        running = Counter(lane.name for lane in flying)
        assert sum(running.values()) <= 25
        assert all(count <= SMTP.most for count in running.values())
    assert pushed == out + len(flying) + len(lanes.drain())


def finish_one(lanes, lane, reached, now):
    doomed = []
    if reached:
        lanes.reached(lane)
    else:
        doomed = lanes.missed(lane, DOWN, now, 0.5)
    lanes.released(lane, 1)
    lanes.job_over(lane)
    lanes.call_over(lane)
    return doomed
