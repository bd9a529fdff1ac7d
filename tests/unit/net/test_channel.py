import asyncio
import contextlib
import os
import socket

import msgspec
import pytest

from penfold.net.channel import Channel, ChannelClosed, ChannelError
from penfold.net.frames import Kind, frame


class Ask(msgspec.Struct, tag="a", array_like=True):
    number: int
    text: str = ""


class Tell(msgspec.Struct, tag="t", array_like=True):
    number: int


class End:
    """One end of a channel, and all that came out of it."""

    def __init__(self, sock, **options):
        self.batches = []
        self.passed = []
        self.closed = []
        self.changed = asyncio.Event()
        options.setdefault("on_calls", self.on_calls)
        self.channel = Channel(
            sock,
            Ask | Tell,
            records=options.pop("records", "test"),
            on_batch=self.on_batch,
            on_passed=self.on_passed,
            on_closed=self.on_closed,
            on_credit=self.changed.set,
            **options,
        )

    @property
    def messages(self):
        return [message for batch in self.batches for message in batch]

    def on_batch(self, messages):
        self.batches.append(messages)
        self.changed.set()

    def on_calls(self, calls):
        for serial, message in calls:
            self.channel.answer(serial, Tell(message.number * 2))
        self.changed.set()

    def on_passed(self, message, descriptors):
        self.passed.append((len(self.messages), message, descriptors))
        self.changed.set()

    def on_closed(self, error):
        self.closed.append(error)
        self.changed.set()

    async def until(self, condition):
        while not condition():
            self.changed.clear()
            await self.changed.wait()


@contextlib.asynccontextmanager
async def pair(left=None, right=None):
    a, b = socket.socketpair()
    ends = End(a, **(left or {})), End(b, **(right or {}))
    try:
        await ends[0].until(lambda: ends[0].channel.credits or ends[0].closed)
        yield ends
    finally:
        for end in ends:
            end.channel.close()


def test_messages_of_one_turn_arrive_as_one_batch_in_order(on_loop):
    async def main():
        async with pair() as (left, right):
            sent = [Ask(number, "x" * number) if number % 2 else Tell(number) for number in range(50)]
            assert all(left.channel.try_send(message) for message in sent)
            await right.until(lambda: len(right.messages) == 50)
            assert right.batches == [sent]

    on_loop(main())


def test_a_backlog_larger_than_the_socket_arrives_whole(on_loop):
    async def main():
        async with pair() as (left, right):
            sent = [Ask(number, "x" * 50_000) for number in range(100)]
            assert left.channel.try_send_all(sent) == 100
            await right.until(lambda: len(right.messages) == 100)
            assert right.messages == sent

    on_loop(main())


def test_without_credit_try_send_says_no_until_the_receiver_grants(on_loop):
    async def main():
        async with pair(right={"window": 3, "automatic": False}) as (left, right):
            assert left.channel.credits == 3
            assert left.channel.try_send_all([Tell(number) for number in range(5)]) == 3
            assert not left.channel.try_send(Tell(9))
            waiting = asyncio.ensure_future(left.channel.send(Tell(10)))
            await right.until(lambda: len(right.messages) == 3)
            assert not waiting.done()
            right.channel.grant(2)
            await waiting
            await right.until(lambda: len(right.messages) == 4)
            assert left.channel.credits == 1

    on_loop(main())


def test_automatic_credit_never_runs_dry(on_loop):
    async def main():
        async with pair(right={"window": 4}) as (left, right):
            for number in range(100):
                await left.channel.send(Tell(number))
            await right.until(lambda: len(right.messages) == 100)

    on_loop(main())


def test_calls_are_answered_each_with_its_own_answer(on_loop):
    async def main():
        async with pair(right={"window": 5}) as (left, _):
            answers = await asyncio.gather(*(left.channel.call(Ask(number)) for number in range(30)))
            assert [answer.number for answer in answers] == [number * 2 for number in range(30)]

    on_loop(main())


def test_descriptors_come_with_their_message_and_in_order(on_loop, tmp_path):
    async def main():
        async with pair() as (left, right):
            names = ["one", "two", "three"]
            files = [os.open(tmp_path / name, os.O_CREAT | os.O_RDWR) for name in names]
            left.channel.try_send(Ask(0))
            left.channel.try_send(Ask(1), files[:1])
            left.channel.try_send(Ask(2))
            left.channel.try_send(Ask(3), files[1:])
            for descriptor in files:
                os.close(descriptor)
            await right.until(lambda: len(right.passed) == 2)
            assert [(before, message.number) for before, message, _ in right.passed] == [(1, 1), (2, 3)]
            got = [descriptor for _, _, descriptors in right.passed for descriptor in descriptors]
            assert [os.path.basename(os.readlink(f"/proc/self/fd/{each}")) for each in got] == names
            for descriptor in got:
                assert not os.get_inheritable(descriptor)
                os.close(descriptor)

    on_loop(main())


def test_no_descriptor_stays_open_when_the_channel_ends(on_loop):
    async def main():
        before = len(os.listdir("/proc/self/fd"))
        async with pair() as (left, _):
            descriptor = os.open("/dev/null", os.O_RDONLY)
            left.channel.try_send(Ask(1), [descriptor])
            os.close(descriptor)
        assert len(os.listdir("/proc/self/fd")) == before

    on_loop(main())


def test_the_death_of_the_peer_is_told_and_fails_open_calls(on_loop):
    async def main():
        async with pair(right={"on_calls": lambda calls: None}) as (left, right):
            waiting = asyncio.ensure_future(left.channel.call(Ask(1)))
            await asyncio.sleep(0)
            right.channel.close()
            with pytest.raises(ChannelClosed):
                await waiting
            await left.until(lambda: left.closed)
            assert left.closed == [None]
            assert not left.channel.try_send(Tell(1))
            with pytest.raises(ChannelClosed):
                await left.channel.send(Tell(1))

    on_loop(main())


@pytest.mark.parametrize("late", [False, True], ids=["before-we-look", "after"])
def test_a_peer_that_dies_without_having_read_all_is_noticed_though_it_left_us_something(on_loop, late):
    async def main():
        ours, theirs = socket.socketpair()
        other = Channel(theirs, Ask | Tell, records="test", on_batch=lambda _: None)
        end = End(ours)
        await end.until(lambda: end.channel.credits)
        answer = end.channel.begin_call(Ask(1))
        end.channel.flush()  # lies in their socket, unread
        asyncio.get_running_loop().remove_reader(theirs.fileno())
        other.force(Tell(7))
        other.flush()
        if late:
            await end.until(lambda: end.messages)
        theirs.close()
        await end.until(lambda: end.closed)
        assert end.messages == [Tell(7)]
        assert isinstance(end.closed[0], ConnectionError)
        with pytest.raises(ChannelClosed):
            await answer

    on_loop(main())


def test_another_version_or_other_records_end_the_channel(on_loop):
    async def main():
        async with pair(left={"version": 2}) as (left, _):
            await left.until(lambda: left.closed)
            assert "version 1" in str(left.closed[0])
        async with pair(right={"records": "other"}) as (left, _):
            await left.until(lambda: left.closed)
            assert "other" in str(left.closed[0])

    on_loop(main())


@pytest.mark.parametrize(
    "octets",
    [
        b"\xff" * 10,
        frame(Kind.CALL, 1, b"\xc0"),
        frame(Kind.ANSWER, 7, msgspec.msgpack.encode(Tell(1))),
        frame(Kind.MESSAGE, 0, b"\x80\x04]\x94."),
        frame(Kind.MESSAGE, 0, msgspec.msgpack.encode(Tell(1)), 3),
        frame(Kind.HELLO, 0, b"\xc1"),
    ],
)
def test_nonsense_ends_the_channel_with_an_error(on_loop, octets):
    async def main():
        ours, theirs = socket.socketpair()
        end = End(ours)
        with theirs:
            theirs.send(octets)
            await end.until(lambda: end.closed)
            assert isinstance(end.closed[0], (ChannelError, msgspec.DecodeError))

    on_loop(main())


def test_an_end_inside_a_frame_is_an_error(on_loop):
    async def main():
        ours, theirs = socket.socketpair()
        end = End(ours)
        theirs.send(frame(Kind.MESSAGE, 0, msgspec.msgpack.encode(Tell(1)))[:-1])
        theirs.close()
        await end.until(lambda: end.closed)
        assert "inside a frame" in str(end.closed[0]) or isinstance(end.closed[0], ConnectionResetError)

    on_loop(main())


def test_a_message_over_the_limit_is_refused_at_the_sender(on_loop):
    async def main():
        async with pair(left={"limit": 100}) as (left, _):
            with pytest.raises(ValueError, match="over the limit"):
                left.channel.try_send(Ask(1, "x" * 101))
            assert left.channel.open

    on_loop(main())


def test_a_sender_that_gives_up_passes_its_credit_on(on_loop):
    async def main():
        async with pair(right={"window": 1, "automatic": False}) as (left, right):
            await left.channel.send(Tell(0))
            senders = [asyncio.ensure_future(left.channel.send(Tell(number))) for number in (1, 2, 3)]
            await asyncio.sleep(0)
            senders[0].cancel()
            right.channel.grant(1)
            await senders[1]
            await right.until(lambda: len(right.messages) == 2)
            assert right.messages[1] == Tell(2)
            right.channel.grant(1)
            await senders[2]

    on_loop(main())


def test_flushed_waits_for_a_slow_reader(on_loop):
    async def main():
        async with pair() as (left, right):
            sent = [Ask(number, "x" * 50_000) for number in range(50)]
            left.channel.try_send_all(sent)
            await left.channel.flushed()
            left.channel.close()
            await right.until(lambda: right.closed)
            assert right.messages == sent
            with pytest.raises(ChannelClosed):
                await left.channel.flushed()

    on_loop(main())
