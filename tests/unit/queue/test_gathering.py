"""Groups of the intake writer: large while the loop is busy, at once when it is not."""

import asyncio

from penfold.fs.thread import WhileBusy


class Groups:
    """The gatherer behind: what came to it in one turn of the loop is a group."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.closed = False

    def put(self, item: str) -> None:
        self.items.append(item)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True


class Loop:
    """What the loop has heard, and the time."""

    def __init__(self) -> None:
        self.heard, self.now = 0, 100.0
        self.groups = Groups()

    def gatherer(self) -> WhileBusy[str]:
        return WhileBusy(self.groups, lambda: self.heard, lambda: self.now)


async def turn() -> None:
    await asyncio.sleep(0)


def test_a_message_alone_goes_after_a_turn_that_brought_nothing():
    async def scene() -> None:
        loop = Loop()
        loop.gatherer().put("one")
        assert loop.groups.items == []
        await turn()
        assert loop.groups.items == ["one"]

    asyncio.run(scene())


def test_while_the_loop_hears_more_a_group_grows():
    async def scene() -> None:
        loop = Loop()
        gatherer = loop.gatherer()
        for number in range(5):
            gatherer.put(str(number))
            loop.heard += 1
            await turn()
            assert loop.groups.items == []
        await turn()
        assert loop.groups.items == list("01234")

    asyncio.run(scene())


def test_a_group_does_not_wait_for_ever_on_a_busy_loop():
    async def scene() -> None:
        loop = Loop()
        gatherer = loop.gatherer()
        gatherer.put("one")
        turns = 0
        while not loop.groups.items:
            loop.heard += 1
            loop.now += WhileBusy.PATIENCE / 4
            turns += 1
            await turn()
        assert turns == 5

    asyncio.run(scene())


def test_what_waits_goes_before_the_end_and_goes_once():
    async def scene() -> None:
        loop = Loop()
        gatherer = loop.gatherer()
        gatherer.put("one")
        gatherer.flush()
        gatherer.close()
        assert loop.groups.closed
        await turn()
        assert loop.groups.items == ["one"]
        gatherer.put("two")
        await turn()
        assert loop.groups.items == ["one", "two"]

    asyncio.run(scene())
