"""Walk A, from SMTP to a Maildir, as its page tells it."""

import asyncio

import pytest
from tests.walks.walking import MOST_HOPS, Page, Witness, code_of, house, send, until

PAGE = Page("a-smtp-to-maildir.md")
(HOPS,) = PAGE.parts.values()


def test_the_page_has_at_most_ten_hops_and_all_of_them_exist():
    assert 5 <= len(HOPS) <= MOST_HOPS
    for hop in HOPS:
        assert code_of(hop)


def test_a_message_takes_the_hops_in_the_order_of_the_page(tmp_path, unused_port):
    folder = tmp_path / "mail/example.test/ada/new"

    async def walk():
        async with house(tmp_path, port=unused_port).running() as here:
            await asyncio.to_thread(send, unused_port)
            await until(lambda: folder.exists() and list(folder.iterdir()), "delivered")
            await until(lambda: here.queue.spool.custody.depth()["messages"] == 0, "settled")

    witness = Witness(HOPS)
    with witness.watching():
        asyncio.run(walk())
    witness.assert_walked(HOPS)
    (file,) = folder.iterdir()
    assert file.read_bytes().startswith(
        b"Return-Path: <bob@elsewhere.example>\nDelivered-To: ada@example.test\nReceived: "
    )
    assert file.read_bytes().endswith(b"Subject: a walk\n\nOn foot.\n")


def test_a_hop_that_is_not_called_is_noticed():
    witness = Witness(HOPS)
    witness.calls = [*HOPS[:3], *HOPS[4:]]
    with pytest.raises(AssertionError, match="hop 4"):
        witness.assert_walked(HOPS)
    witness.calls = [HOPS[1], HOPS[0], *HOPS[2:]]
    with pytest.raises(AssertionError, match="not after"):
        witness.assert_walked(HOPS)
