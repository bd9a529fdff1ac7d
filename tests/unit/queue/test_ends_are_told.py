"""Whoever asks hears which messages left the queue, once each, however they ended."""

import asyncio

from penfold.model import Address, Envelope, Origin, Recipient
from penfold.queue.admin import Selection
from penfold.queue.base import Done, Later
from penfold.queue.spool.spool import open_spool

ENVELOPE = Envelope(Address("s", "example.org"), 1.0, 0, Origin("ESMTP"))


def test_every_message_that_ends_is_told_once(tmp_path):
    async def scenario():
        spool, told = open_spool(str(tmp_path / "spool")), []
        spool.custody.hear_ends(told.extend)

        async def put(*names):
            body = spool.queue.begin()
            body.write(b"A: b\r\n\r\n")
            recipients = [Recipient(Address(name, "example.test")) for name in names]
            return await spool.queue.accept(ENVELOPE, recipients, body)

        at_once, in_parts, deleted = await put("a"), await put("b", "c"), await put("d")
        await spool.custody.claim(2.0, 10)
        await spool.custody.settle([Done(at_once, 0), Done(in_parts, 0), Later(in_parts, 1, 3.0, "smtp:x", 1)])
        await spool.custody.settle([Later(deleted, 0, 99.0, "smtp:x", 1)])
        await spool.custody.flush()
        first = list(told)
        await spool.custody.claim(4.0, 10)
        await spool.custody.settle([Done(in_parts, 1)])
        assert await spool.admin.delete(Selection(ids=(deleted,))) == 1
        await spool.custody.flush()
        await spool.close()
        return first, told, at_once, in_parts, deleted

    first, told, at_once, in_parts, deleted = asyncio.run(scenario())
    assert first == [at_once]
    assert sorted(told) == sorted([at_once, in_parts, deleted])
