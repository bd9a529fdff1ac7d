"""Sending without credit, and knowing at once that the peer is gone."""

import asyncio
import socket

import msgspec

from penfold.net.channel import Channel


class Word(msgspec.Struct, tag="word", array_like=True):
    text: str


async def ends(heard, window=1):
    one, other = socket.socketpair()
    sender = Channel(one, Word, records="words", on_batch=lambda batch: None)
    receiver = Channel(other, Word, records="words", on_batch=heard.extend, window=window, automatic=False)
    while sender.credits == 0:  # noqa: ASYNC110 - turns of the loop, no time passes
        await asyncio.sleep(0)
    return sender, receiver


def test_what_is_forced_goes_without_credit_and_in_order():
    async def scenario():
        heard = []
        sender, receiver = await ends(heard)
        assert sender.try_send(Word("a"))
        assert not sender.try_send(Word("no credit"))
        sender.force(Word("b"))
        assert sender.flush()
        while len(heard) < 2:  # noqa: ASYNC110 - turns of the loop, no time passes
            await asyncio.sleep(0)
        sender.close()
        receiver.close()
        return [word.text for word in heard]

    assert asyncio.run(scenario()) == ["a", "b"]


def test_flush_knows_at_once_that_the_peer_is_gone():
    async def scenario():
        sender, receiver = await ends([])
        receiver.close()
        sender.force(Word("lost"))
        flushed = sender.flush()
        sender.close()
        return flushed

    assert asyncio.run(scenario()) is False
