"""Connections that are used again, several at once, and the mailer ``lmtp``."""

import asyncio

import pytest
from tests.unit.transport.mailers.hosts_in_hand import exchanges, job, on_loop, post_office
from tests.unit.transport.mailers.scripted_peer import DROP, HANG, SLOW, ScriptedPeer

from penfold.model import Deferred, Delivered, Failed
from penfold.transport.mailers import connection

TWO = exchanges("next.example", (10, "mx1.next.example", "127.0.0.1"), (20, "mx2.next.example", "127.0.0.2"))


def jobs(count, **options):
    return [job(id_=f"Q{number:03}", **options) for number in range(count)]


def test_jobs_of_one_call_go_over_several_connections():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer) as post:
            return await post.outcomes(*jobs(5))

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert len(peer.bodies) == 5
    assert 1 < len(peer.heard) <= 5


def test_connections_are_no_more_than_allowed():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer, connections=2) as post:
            return await post.outcomes(*jobs(10))

    assert len(on_loop(main())) == 10
    assert len(peer.heard) == 2


def test_the_next_call_finds_the_connection_open():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer) as post:
            return [await post.one(each) for each in jobs(5)]

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert len(peer.heard) == 1
    assert "RSET" not in peer.heard[0].verbs()


def test_after_its_number_of_messages_a_connection_is_closed_politely():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer, per_connection=2) as post:
            for each in jobs(4):
                await post.one(each)
            await post.gone()

    on_loop(main())
    assert [heard.verbs().count("MAIL") for heard in peer.heard] == [2, 2]
    assert all(heard.verbs()[-1] == "QUIT" for heard in peer.heard)


def test_an_idle_connection_says_goodbye_after_its_time():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer, idle=0.01) as post:
            await post.one(job())
            await post.gone()

    on_loop(main())
    assert peer.heard[0].verbs()[-1] == "QUIT"


def test_a_server_that_does_not_answer_quit_is_cut_off(monkeypatch):
    monkeypatch.setattr(connection, "_QUIT_SECONDS", 0.01)

    async def main():
        async with post_office(ScriptedPeer({"QUIT": HANG}), per_connection=1) as post:
            outcome = await post.one(job())
            await post.gone()
            return outcome

    assert isinstance(on_loop(main()), Delivered)


def test_no_more_idle_connections_are_kept_than_allowed():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer, most_idle=0) as post:
            await post.one(job())
            await post.gone()

    on_loop(main())
    assert peer.heard[0].verbs()[-1] == "QUIT"


def test_a_connection_that_closes_while_it_rests_is_forgotten():
    peer = ScriptedPeer({"END": "250 taken\r\n421 4.3.2 going down"}, {})

    async def main():
        async with post_office(peer) as post:
            first = await post.one(job())
            await post.gone()
            return first, await post.one(job(id_="Q2"))

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert len(peer.heard) == 2


def test_a_connection_the_server_closed_meanwhile_is_replaced_without_a_word():
    peer = ScriptedPeer({"MAIL": ["250 ok", DROP]}, {})

    async def main():
        async with post_office(peer, addresses=1) as post:
            return [await post.one(each) for each in jobs(2)]

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert len(peer.heard) == 2


@pytest.mark.parametrize("said", ["421 4.4.2 enough", "452 4.5.3 too many messages on this connection"])
def test_a_server_that_had_enough_of_a_connection_gets_a_new_one(said):
    peer = ScriptedPeer({"MAIL": ["250 ok", said]}, {})

    async def main():
        async with post_office(peer, addresses=1) as post:
            return [await post.one(each) for each in jobs(2)]

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert len(peer.heard) == 2
    assert peer.heard[1].verbs().count("MAIL") == 1


def test_a_server_that_takes_only_one_connection_gets_all_mail_over_it():
    peer = ScriptedPeer({}, {"GREETING": "421 4.7.0 too many connections"})

    async def main():
        async with post_office(peer) as post:
            return await post.outcomes(*jobs(6))

    assert all(isinstance(outcome, Delivered) for outcome in on_loop(main()))
    assert peer.heard[0].verbs().count("MAIL") == 6


def test_when_no_connection_opens_every_job_hears_of_it():
    peer = ScriptedPeer({"GREETING": "421 4.3.2 closed"})

    async def main():
        async with post_office(peer) as post:
            return await post.outcomes(*jobs(6))

    outcomes = on_loop(main())
    assert len(outcomes) == 6
    assert all(isinstance(outcome, Deferred) and outcome.host_down for outcome in outcomes)


def test_when_a_server_dies_between_jobs_the_rest_is_deferred_and_none_lost():
    peer = ScriptedPeer({"MAIL": ["250 ok", DROP]}, {"GREETING": "421 4.3.2 closed"})

    async def main():
        async with post_office(peer, connections=1) as post:
            return await post.outcomes(*jobs(4))

    outcomes = on_loop(main())
    assert isinstance(outcomes[0], Delivered)
    assert all(isinstance(outcome, Deferred) and outcome.host_down for outcome in outcomes[1:])


def test_settlements_come_as_they_are_known():
    peer = ScriptedPeer({"END": ["250 first", HANG]})

    async def main():
        async with post_office(peer, connections=1) as post:
            call = post.mailer.deliver(jobs(2))
            first = await anext(call)
            await call.aclose()
            return first

    assert on_loop(main()).outcome.reply.text == "first"


def test_at_shutdown_a_resting_connection_says_goodbye_at_once():
    peer = ScriptedPeer()

    async def main():
        async with post_office(peer) as post:
            await post.one(job())
            await post.driver.drain(5.0)

    on_loop(main())
    assert peer.heard[0].verbs()[-1] == "QUIT"


def test_at_shutdown_busy_connections_say_goodbye_after_their_transaction():
    peer = ScriptedPeer({"DATA": ["354 go on", SLOW]}, {"DATA": SLOW}, {})

    async def main():
        async with post_office(peer) as post:
            await post.one(job())
            call = asyncio.ensure_future(post.carry(*jobs(2)))
            await peer.asked_to_wait(2)
            end = asyncio.ensure_future(post.driver.drain(5.0))
            peer.go_on()
            settled = await call
            await end
            return settled

    settled = on_loop(main())
    assert len(settled) == 2
    assert all(isinstance(each.outcome, Delivered) for each in settled)
    assert [heard.verbs()[-1] for heard in peer.heard] == ["QUIT", "QUIT"]


def test_a_call_broken_off_cuts_its_connections():
    peer = ScriptedPeer({"END": HANG})

    async def main():
        async with post_office(peer) as post:
            call = asyncio.ensure_future(post.carry(*jobs(3)))
            await peer.got(3)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await post.gone()

    on_loop(main())
    assert not any("QUIT" in heard.verbs() for heard in peer.heard)


def test_a_thousand_messages_refused_without_a_word_are_refused_one_by_one():
    peer = ScriptedPeer(extensions=("SIZE 1",))

    async def main():
        async with post_office(peer, connections=1) as post:
            return await post.outcomes(*jobs(1000))

    assert all(isinstance(outcome, Failed) for outcome in on_loop(main()))
    assert len(peer.heard) == 1


@pytest.mark.parametrize("place", [0, 1])
def test_a_fault_of_ours_ends_the_call_with_an_exception_and_never_hangs_it(place):
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with post_office(ScriptedPeer(), connections=1) as post:
            work = jobs(2)
            work[place] = job(body="fault")
            with pytest.raises(RuntimeError, match="lost"):
                await post.carry(*work)
            await post.gone()

    on_loop(main())


# LMTP.


def lmtp(peer, *to, path="", host="[127.0.0.1]", **options):
    async def main():
        async with post_office(peer, lmtp=True, path=path, **options) as post:
            return await post.outcomes(job(*to, host=f"unix:{path}" if path else host, mailer="lmtp"))

    return on_loop(main())


THREE = ("a@next.example", "b@next.example", "c@next.example")


def test_lmtp_gives_each_recipient_its_own_answer_after_the_body():
    """RFC 2033 §4.2."""
    peer = ScriptedPeer({"END": ["250 2.0.0 a", "550 5.2.2 full", "451 4.3.0 later"]}, lmtp=True)
    outcomes = lmtp(peer, *THREE)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Failed, Deferred]
    assert outcomes[0].final
    assert outcomes[1].reply.text == "full"
    assert peer.lines[0] == "LHLO me.example"


def test_lmtp_that_breaks_between_answers_leaves_the_rest_open():
    peer = ScriptedPeer({"END": ["250 2.0.0 a", DROP]}, lmtp=True)
    outcomes = lmtp(peer, *THREE)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Deferred, Deferred]
    assert "may have arrived" in outcomes[1].reply.text


def test_lmtp_goes_through_a_unix_socket(tmp_path):
    peer = ScriptedPeer({"RCPT TO:<b@": "550 5.1.1 no"}, lmtp=True)
    outcomes = lmtp(peer, *THREE, path=str(tmp_path / "lmtp"))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Failed, Delivered]
    assert outcomes[0].remote == "localhost"


def test_a_unix_socket_nobody_listens_on_is_a_host_that_is_down(tmp_path):
    async def main():
        async with post_office(lmtp=True) as post:
            return await post.one(job(host=f"unix:{tmp_path}/none", mailer="lmtp"))

    outcome = on_loop(main())
    assert outcome.host_down
    assert "none" in outcome.reply.text
