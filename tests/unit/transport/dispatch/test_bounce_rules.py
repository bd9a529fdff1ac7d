"""Who hears of what: failure, delay and success DSNs, null senders, double bounces."""

import asyncio

import pytest
from tests.unit.transport.dispatch.fakes import (
    BUSY,
    OK,
    START,
    UNKNOWN,
    FakeMailer,
    House,
    address,
    envelope,
    recipient,
)

from penfold.model import (
    Address,
    Deferred,
    Delivered,
    Expanded,
    Failed,
    MailError,
    Notify,
    Origin,
    Reply,
    Route,
    Settlement,
)
from penfold.queue.base import Done, Later, Pending, Replace
from penfold.routing.base import Decision, Refuse
from penfold.telemetry import events
from penfold.transport.dispatch.assemble import Settings

HOUR = 3600.0
DAY = 24 * HOUR
POSTMASTER = address("postmaster@here.example")


def settle(outcome, env=None, *recipients, settings=None, age=0.0, warned=False, count=None):
    """Let a message meet an outcome; returns the house afterwards."""
    house = House(FakeMailer(answer=lambda job, index: outcome), settings=settings)
    rcpts = recipients or (recipient("bob@there.example"),)

    async def scenario(house):
        house.clock.now += age
        pending = [Pending(number, rcpt, warned=warned) for number, rcpt in enumerate(rcpts)]
        house.queue.add(env or envelope(), pending=pending)
        await house.settled(count or len(rcpts))

    house.run(scenario)
    return house


def told(house) -> list[tuple[str, str]]:
    return [(str(found.to), found.kind) for found in house.notifications]


def test_a_failure_is_told_to_the_sender():
    house = settle(Failed(UNKNOWN, "mx.there.example"))
    assert told(house) == [("ann@here.example", "failed")]
    (report,) = house.notifications[0].reports
    assert (report.action, report.reply, report.remote) == ("failed", UNKNOWN, "mx.there.example")
    (event,) = house.seen(events.Bounced)
    assert event.dsn == "D00001"
    sent, (to,) = house.submitted[0]
    assert sent.reverse_path is None
    assert to.notify == Notify.NEVER


def test_several_failures_of_one_message_share_a_dsn():
    house = settle(Failed(UNKNOWN), None, recipient("a@there.example"), recipient("b@there.example"))
    assert len(house.submitted) == 1
    assert [str(report.recipient.address) for report in house.notifications[0].reports] == [
        "a@there.example",
        "b@there.example",
    ]
    assert house.queue.log[0] == "DSN"
    assert len(house.done()) == 2


@pytest.mark.parametrize(
    ("notify", "failure", "delay", "success"),
    [
        (Notify.UNSET, True, True, False),
        (Notify.NEVER, False, False, False),
        (Notify.SUCCESS, False, False, True),
        (Notify.FAILURE, True, False, False),
        (Notify.DELAY, False, True, False),
        (Notify.SUCCESS | Notify.FAILURE, True, False, True),
    ],
)
def test_notify_decides(notify, failure, delay, success):
    """RFC 3461 §4.1."""
    rcpt = recipient("bob@there.example", notify=int(notify))
    assert bool(told(settle(Failed(UNKNOWN), None, rcpt))) is failure
    assert bool(told(settle(Deferred(BUSY), None, rcpt, age=5 * HOUR))) is delay
    assert bool(told(settle(Delivered(OK, final=True), None, rcpt))) is success


def test_a_failure_nobody_wants_to_hear_of_is_logged_as_silent():
    house = settle(Failed(UNKNOWN), None, recipient("bob@there.example", notify=int(Notify.NEVER)))
    assert [event.silent for event in house.seen(events.Bounced)] == ["NOTIFY"]
    assert house.done() == [0]


def test_an_owner_hears_in_the_senders_place():
    owner = Address("owner-list", "here.example")
    house = settle(Failed(UNKNOWN), None, recipient("bob@there.example", owner=owner))
    assert told(house) == [("owner-list@here.example", "failed")]


def test_the_null_sender_hears_nothing():
    """RFC 5321 §4.5.5, §6.1."""
    house = settle(Failed(UNKNOWN), envelope(None))
    assert told(house) == []
    assert house.done() == [0]
    assert [event.silent for event in house.seen(events.Bounced)] == ["null sender"]


def test_a_lost_bounce_goes_to_the_postmaster_once():
    settings = Settings(double_bounces=POSTMASTER)
    dsn = envelope(None, origin=Origin("bounce"))
    house = settle(Failed(UNKNOWN), dsn, recipient("ann@there.example", notify=1), settings=settings)
    assert told(house) == [("postmaster@here.example", "failed")]
    assert house.notifications[0].double
    sent, _ = house.submitted[0]
    assert sent.origin.protocol == "double-bounce"

    again = settle(Failed(UNKNOWN), sent, recipient("elsewhere@there.example", notify=1), settings=settings)
    assert told(again) == []
    assert [event.silent for event in again.seen(events.Bounced)] == ["double bounce"]


@pytest.mark.parametrize("more", [{}, {"original": POSTMASTER}, {"parents": (POSTMASTER,)}])
def test_the_postmasters_own_bounces_end_whatever_marks_they_lost(more):
    where = "postmaster@here.example" if not more else "root@there.example"
    settings = Settings(double_bounces=POSTMASTER)
    house = settle(Failed(UNKNOWN), envelope(None), recipient(where, **more), settings=settings)
    assert told(house) == []
    assert [event.silent for event in house.seen(events.Bounced)] == ["bounce to the postmaster"]


def test_a_deferral_past_the_lifetime_fails_with_the_actual_problem():
    """RFC 3463 §3.5."""
    house = settle(Deferred(BUSY, "mx.there.example"), age=5 * DAY)
    assert told(house) == [("ann@here.example", "failed")]
    (report,) = house.notifications[0].reports
    assert report.reply == BUSY
    assert house.done() == [0]


def test_the_sender_is_warned_once():
    house = settle(Deferred(BUSY), age=5 * HOUR)
    assert told(house) == [("ann@here.example", "delayed")]
    assert house.notifications[0].reports[0].retry_until == START + 5 * DAY
    assert not house.notifications[0].full
    (later,) = house.queue.updates
    assert isinstance(later, Later)
    assert later.warned
    assert house.seen(events.Warned)[0].dsn == "D00001"

    assert told(settle(Deferred(BUSY), age=6 * HOUR, warned=True)) == []


def test_null_senders_are_never_warned():
    assert told(settle(Deferred(BUSY), envelope(None), age=5 * HOUR)) == []


def test_a_warning_that_is_not_accepted_is_due_again():
    house = House(FakeMailer(answer=lambda job, index: Deferred(BUSY)))
    house.refuse_submit = MailError(Reply.of(452, "4.3.1", "Full"))

    async def scenario(house):
        house.clock.now += 5 * HOUR
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    (later,) = house.queue.updates
    assert not later.warned


@pytest.mark.parametrize("error", [MailError(Reply.of(452, "4.3.1", "Full")), OSError(28, "full"), ValueError("a bug")])
def test_a_recipient_whose_bounce_is_not_accepted_stays_in_the_queue(error):
    house = House(FakeMailer(answer=lambda job, index: Failed(UNKNOWN)))
    house.refuse_submit = error

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)
        house.refuse_submit = None
        house.queue.tick(400)
        await house.settled(2)

    house.run(scenario)
    later, done = house.queue.updates
    assert isinstance(later, Later)
    assert later.due == START + 300
    assert done == Done("T00001", 0)
    assert len(house.submitted) == 1
    assert house.seen(events.Trouble)


@pytest.mark.parametrize(
    ("outcome", "action"),
    [
        (Delivered(OK, final=True), "delivered"),
        (Delivered(OK, final=False), "relayed"),
        (Delivered(OK, final=False, relayed_dsn=True), None),
    ],
)
def test_success_is_told_unless_the_next_hop_took_that_over(outcome, action):
    """RFC 3461 §5.2.1, §5.2.2, §5.2.3."""
    house = settle(outcome, None, recipient("bob@there.example", notify=int(Notify.SUCCESS)))
    assert [report.action for found in house.notifications for report in found.reports] == ([action] if action else [])
    assert not any(found.full for found in house.notifications)
    assert house.done() == [0]


def test_an_expansion_keeps_the_original_and_the_wishes():
    parent = recipient("bob@there.example", notify=int(Notify.FAILURE), orcpt="rfc822;bob@there.example")
    house = settle(Expanded((recipient("bobby@there.example"),)), None, parent, count=1)
    replaced = house.queue.updates[0]
    assert isinstance(replaced, Replace)
    (heir,) = replaced.recipients
    assert heir.original == parent.address
    assert heir.notify == Notify.FAILURE
    assert heir.orcpt == "rfc822;bob@there.example"
    assert heir.parents == (parent.address,)


def test_an_expansion_to_several_is_told_and_they_do_not_report_success():
    """RFC 3461 §5.2.7."""
    parent = recipient("bob@there.example", notify=int(Notify.SUCCESS | Notify.FAILURE))
    children = (recipient("x@there.example"), recipient("y@there.example"))
    house = settle(Expanded(children), None, parent, count=1)
    assert house.notifications[0].reports[0].action == "expanded"
    replaced = house.queue.updates[0]
    assert [heir.notify for heir in replaced.recipients] == [Notify.FAILURE, Notify.FAILURE]


def test_a_single_heir_inherits_the_wish_for_success_and_nothing_is_told_yet():
    """RFC 3461 §5.2.7."""
    parent = recipient("bob@there.example", notify=int(Notify.SUCCESS))
    house = settle(Expanded((recipient("x@there.example"),)), None, parent, count=1)
    assert house.queue.updates[0].recipients[0].notify == Notify.SUCCESS
    assert told(house)[:1] == []


def test_mail_for_a_list_with_an_owner_counts_as_delivered():
    """RFC 3461 §5.2.7."""
    parent = recipient("list@there.example", notify=int(Notify.SUCCESS))
    owner = address("owner-list@there.example")
    child = recipient("x@there.example", owner=owner, parents=(parent.address,))
    house = settle(Expanded((child,)), None, parent, count=1)
    assert house.notifications[0].reports[0].action == "delivered"
    assert house.queue.updates[0].recipients == (child,)


def test_an_expansion_to_nobody_ends_custody():
    house = settle(Expanded(()))
    assert house.queue.updates == [Done("T00001", 0)]


def test_aliases_that_go_in_circles_fail():
    parents = tuple(address(f"a{n}@there.example") for n in range(30))
    house = settle(Expanded((recipient("b@there.example"),)), None, recipient("a@there.example", parents=parents))
    assert house.notifications[0].reports[0].reply.status == "5.4.6"


def test_too_many_hops_fail_without_an_attempt():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        house.queue.add(envelope(hops=101), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert mailer.calls == []
    assert house.notifications[0].reports[0].reply.status == "5.4.6"


@pytest.mark.parametrize(
    ("ret", "size", "full"),
    [("", 49_000, True), ("", 51_000, False), ("HDRS", 10, False), ("FULL", 51_000, True), ("FULL", 10**8, False)],
)
def test_ret_and_size_decide_how_much_comes_back(ret, size, full):
    """RFC 3461 §4.3."""
    house = settle(Failed(UNKNOWN), envelope(ret=ret, size=size))
    assert house.notifications[0].full is full


def test_a_postmaster_without_mailbox_is_the_hosts_postmaster():
    house = House(FakeMailer(), settings=Settings(postmaster=POSTMASTER))
    lost = "Postmaster@virtual.example"
    house.router.special[lost] = lambda question, answers: Decision(Refuse(UNKNOWN), ())

    async def scenario(house):
        house.queue.add(envelope(), recipient(lost))
        await house.settled(2)

    house.run(scenario)
    assert house.submitted == []
    (heir,) = house.queue.updates[0].recipients
    assert heir.address == POSTMASTER
    assert str(heir.original) == lost


def test_our_own_sender_who_cannot_be_reached_ends_the_matter():
    """A message from an unknown local user bounces; its bounce bounces to the postmaster; nothing loops."""
    house = House(FakeMailer(), settings=Settings(double_bounces=POSTMASTER))
    house.router.special |= {
        who: lambda question, answers: Decision(Refuse(UNKNOWN), ())
        for who in ("bob@there.example", "ghost@here.example", "postmaster@here.example")
    }

    async def scenario(house):
        house.queue.add(envelope("ghost@here.example"), recipient("bob@there.example"))
        await house.settled(1)
        house.queue.add(house.submitted[0][0], *house.submitted[0][1])
        await house.settled(2)
        house.queue.add(house.submitted[1][0], *house.submitted[1][1])
        await house.settled(3)

    house.run(scenario)
    assert [str(rcpts[0].address) for _, rcpts in house.submitted] == ["ghost@here.example", "postmaster@here.example"]
    assert len(house.queue.rows) == 0


def test_an_operators_route_stands_over_routing():
    mailer = FakeMailer()
    house = House(mailer)

    async def scenario(house):
        pending = [Pending(0, recipient("bob@there.example"), route=Route("smtp", "[192.0.2.1]:2525", "bob"))]
        house.queue.add(envelope(), pending=pending)
        await house.settled(1)

    house.run(scenario)
    assert mailer.calls[0][0].targets[0].route.host == "[192.0.2.1]:2525"


def test_a_route_to_a_mailer_nobody_configured_is_put_off():
    house = House(FakeMailer())
    house.router.mailer = "uucp"

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    (later,) = house.queue.updates
    assert later.reply.status == "4.3.5"
    assert later.attempts == 1


def test_a_refusal_that_may_pass_is_put_off():
    house = House(FakeMailer())
    house.router.special["bob@there.example"] = lambda question, answers: Decision(Refuse(BUSY), ())

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert house.queue.updates[0].reply == BUSY
    assert house.submitted == []


def test_mail_for_a_dead_host_still_expires_and_warns():
    down = Deferred(BUSY, host_down=True)
    house = House(FakeMailer(answer=lambda job, index: down))

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)
        house.queue.add(envelope(arrived=START - 5 * HOUR), recipient("late@there.example"))
        house.queue.add(envelope(arrived=START - 6 * DAY), recipient("old@there.example"))
        await house.settled(3)

    house.run(scenario)
    assert len(house.mailers["smtp"].calls) == 1
    assert sorted(kind for _, kind in told(house)) == ["delayed", "failed"]
    assert house.done() == [0]


def test_a_bounce_is_written_even_when_the_body_is_gone():
    house = House(FakeMailer(answer=lambda job, index: Failed(UNKNOWN)))

    def gone(ref):
        raise FileNotFoundError(ref.file)

    house.queue.open = gone

    async def scenario(house):
        house.queue.add(envelope(), recipient("bob@there.example"))
        await house.settled(1)

    house.run(scenario)
    assert len(house.submitted) == 1


def test_failures_known_early_wait_for_their_job_and_share_its_dsn():
    class Chatty(FakeMailer):
        async def deliver(self, jobs):
            for number, outcome in enumerate([Failed(UNKNOWN), Delivered(OK), Failed(UNKNOWN)]):
                yield Settlement(jobs[0].id, number, outcome)
                for _ in range(20):
                    await asyncio.sleep(0)

    house = House(Chatty())

    async def scenario(house):
        house.queue.add(envelope(), *(recipient(f"{who}@there.example") for who in "abc"))
        await house.settled(3)

    house.run(scenario)
    assert [len(found.reports) for found in house.notifications] == [2]
