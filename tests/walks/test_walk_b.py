"""Walk B, a ``.forward`` to another host, as its page tells it: with a retry, and with a bounce after five days."""

import asyncio
import email
import email.policy

import pytest
from tests.walks.walking import MOST_HOPS, Clock, OtherHost, Page, Witness, code_of, house, send, until

PAGE = Page("b-forward-with-a-retry.md")
RETRY, EXPIRY = PAGE.parts.values()
LATER = "451 4.7.1 come back later"
DAY = 86_400.0


@pytest.mark.parametrize("hops", [RETRY, EXPIRY], ids=["retry", "expiry"])
def test_the_page_has_at_most_ten_hops_and_all_of_them_exist(hops):
    assert 5 <= len(hops) <= MOST_HOPS
    for hop in hops:
        assert code_of(hop)


@pytest.fixture
def forwarded(tmp_path):
    """Ada lets her mail go elsewhere."""
    folder = tmp_path / "mail/example.test"
    folder.mkdir(parents=True)
    (folder / "ada.forward").write_text("ada@elsewhere.example\n")
    (folder / "ada.forward").chmod(0o600)
    return tmp_path


def waiting(here):
    return here.queue.spool.custody.depth()


def test_the_second_try_is_taken(forwarded, unused_port):
    clock = Clock()

    async def walk(witness):
        async with (
            OtherHost(LATER, clock=clock).listening() as other,
            house(forwarded, port=unused_port, other=other.port, clock=clock).running() as here,
        ):
            with witness.watching():
                await asyncio.to_thread(send, unused_port)
                await until(lambda: waiting(here)["deferred"] == 1, "deferred")
                assert (other.refused, other.mail) == (1, [])
                for _ in range(8):
                    clock.now += 10
                    here.look()
                    await asyncio.sleep(0)
                await until(lambda: other.mail, "sent again")
                await until(lambda: waiting(here)["messages"] == 0, "settled")
            first, second = other.times
            assert 50 < second - first <= 80, "at its time, give or take the jitter"
            return other.mail

    witness = Witness(RETRY)
    ((sender, recipients, content),) = asyncio.run(walk(witness))
    witness.assert_walked(RETRY)
    assert (sender, recipients) == ("bob@elsewhere.example", ["ada@elsewhere.example"])
    assert content.endswith(b"Subject: a walk\r\n\r\nOn foot.\r\n")
    assert not (forwarded / "mail/example.test/ada").exists(), "forwarded, not kept"


def test_after_five_days_the_sender_is_told(forwarded, unused_port):
    clock = Clock()

    async def walk(witness):
        async with (
            OtherHost(LATER, LATER).listening() as other,
            house(forwarded, port=unused_port, other=other.port, clock=clock).running() as here,
        ):
            await asyncio.to_thread(send, unused_port)
            await until(lambda: waiting(here)["deferred"] == 1, "deferred")
            with witness.watching():
                clock.now += 5 * DAY + 1
                here.look()
                await until(lambda: other.mail, "the sender told")
                await until(lambda: waiting(here)["messages"] == 0, "settled")
            return other.mail

    witness = Witness(EXPIRY)
    ((sender, recipients, content),) = asyncio.run(walk(witness))
    witness.assert_walked(EXPIRY)
    assert (sender, recipients) == ("", ["bob@elsewhere.example"]), "the null reverse-path"
    report = email.message_from_bytes(content, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    _, status, original = report.iter_parts()
    about = status.get_payload()[1]
    assert (about["Action"], about["Status"]) == ("failed", "5.4.7")
    assert "ada@elsewhere.example" in about["Final-Recipient"]
    assert "come back later" in about["Diagnostic-Code"]
    assert b"Subject: a walk" in original.as_bytes()
