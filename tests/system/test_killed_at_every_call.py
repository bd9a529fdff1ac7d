"""Roles killed with SIGKILL in the place of a chosen system call, at every row of the queue's table of crash points."""

import os
from collections.abc import Iterator

import pytest
from tests.system.calls import SHOTS, Point, Range, permitted

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("calls")]

ROUNDS = int(os.environ.get("PENFOLD_CALL_ROUNDS", "1"))


@pytest.fixture(scope="module")
def field() -> Iterator[Range]:
    """One host for all kills; at the end nothing may be left in its queue, and all mail is there."""
    if reason := permitted():
        if os.environ.get("PENFOLD_CI") and "not installed" in reason:
            pytest.fail(reason)
        pytest.skip(reason)
    with Range() as made:
        yield made
        made.bring_home()
        print(made)
        made.judge()
        assert made.queued() == []


def shot(point: Point, when: int) -> str:
    return f"rows {point.rows}: {point.role}: {point.name}: {point.call} {when}"


@pytest.mark.parametrize("_round", range(ROUNDS))
@pytest.mark.parametrize(("point", "when"), SHOTS, ids=[shot(*each) for each in SHOTS])
def test_nothing_is_lost_when_a_role_is_killed_at(field: Range, point: Point, when: int, _round: int):
    done = field.shoot(point, when)
    if done.repeated:
        print(f"{len(done.repeated)} delivered again: {shot(point, when)}")
    field.judge()


def test_an_order_that_was_answered_is_in_force_after_a_kill(field: Range):
    """Row 9: what an operator was told is synced."""
    field.waiting()
    assert field.order_and_kill("hold") == {"held"}
    assert "held" not in field.order_and_kill("release")
