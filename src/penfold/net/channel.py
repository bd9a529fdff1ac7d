"""Records between roles over a Unix socket pair, always in batches.

What is sent during one turn of the loop goes out in one ``sendmsg``; what one read brought is given on in one
``on_batch``. A sender spends a credit for each message and each call; the receiver grants new ones as it has done the
work (or by itself, when the handler's return means done). Without credit ``try_send`` says no, and the caller turns
that into back-pressure it can explain (451 4.3.2). Answers need no credit: their number is bounded by the calls.

Messages keep their order among themselves, and so do calls; of one read, messages come before calls. Descriptors
belong to exactly one message, which arrives by ``on_passed`` between the batches before and after it.

A stream socket was chosen over sequenced packets: a batch may be larger than a packet can be.

Standards: the head of every frame is described in ``net.frames``
Trust: as ``net.frames``; messages are decoded into the types the channel was made for, anything else ends it.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from penfold.net.frames import LIMIT, MAX_DESCRIPTORS, ChannelError, Frame, Kind, Splitter, frame
from penfold.net.outbox import Outbox, close_all

In = TypeVar("In")
Out = TypeVar("Out")

_READ = 128 * 1024
_READS = 8  # in one turn
_SPACE = socket.CMSG_SPACE(MAX_DESCRIPTORS * 4 * 2)
_ENCODER = msgspec.msgpack.Encoder()


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame each way: the records spoken, their version, and the credits the other side begins with."""

    records: str
    version: int
    credits: int


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # all a decoder raises
_HELLO = msgspec.msgpack.Decoder(Hello)


class ChannelClosed(ConnectionError):
    """The channel ended before the answer came."""


class Channel(Generic[In, Out]):
    """One end of a channel; ``sock`` belongs to it from now on.

    ``records`` and ``version`` must be the same at both ends; ``incoming`` is the (tagged union) type of what arrives.
    ``window`` credits are granted to the peer at the start; with ``automatic`` each handled message is granted again at
    once, otherwise ``grant`` does it. ``on_closed`` hears None when the peer just ended, else the error.
    """

    def __init__(
        self,
        sock: socket.socket,
        incoming: Any,  # noqa: ANN401  (a union is no type to a type checker)
        *,
        records: str,
        version: int = 1,
        on_batch: Callable[[list[In]], None],
        on_calls: Callable[[list[tuple[int, In]]], None] | None = None,
        on_passed: Callable[[In, list[int]], None] | None = None,
        on_closed: Callable[[Exception | None], None] | None = None,
        on_credit: Callable[[], None] | None = None,
        window: int = 1024,
        automatic: bool = True,
        limit: int = LIMIT,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._sock: socket.socket | None = sock
        self._decoder: msgspec.msgpack.Decoder[In] = msgspec.msgpack.Decoder(incoming)
        self._on_batch = on_batch
        self._on_calls = on_calls
        self._on_passed = on_passed
        self._on_closed = on_closed
        self._on_credit = on_credit
        self._hello = Hello(records, version, window)
        self._automatic = automatic
        self._limit = limit
        self._splitter = Splitter(limit)
        self._buffer = bytearray(_READ)
        self._view = memoryview(self._buffer)
        self._descriptors: deque[int] = deque()
        self._outbox = Outbox(sock, self._loop)
        self._serial = 0
        self._calls: dict[int, asyncio.Future[In]] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._greeted = False
        self.credits = 0
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)
        self._outbox.put(frame(Kind.HELLO, 0, _ENCODER.encode(self._hello)))

    # -- sending

    @property
    def open(self) -> bool:
        """Whether the channel still carries anything."""
        return self._sock is not None

    def try_send(self, message: Out, descriptors: Sequence[int] = ()) -> bool:
        """Send, or return False for want of credit (or of a peer).

        Descriptors are duplicated; the caller keeps its own. Raises ValueError when the message is over the limit.
        """
        if self.credits <= 0 or self._sock is None:
            return False
        data = self._encode(Kind.MESSAGE, 0, message, len(descriptors))
        self.credits -= 1
        self._outbox.put(data, descriptors)
        return True

    def try_send_all(self, messages: Sequence[Out]) -> int:
        """Send the first messages that there is credit for; returns their number."""
        count = min(max(self.credits, 0), len(messages)) if self._sock is not None else 0
        for message in messages[:count]:
            self._outbox.put(self._encode(Kind.MESSAGE, 0, message))
        self.credits -= count
        return count

    def force(self, message: Out, descriptors: Sequence[int] = ()) -> None:
        """Send, spending credit even where there is none left: for what must not wait and is bounded by other means."""
        if self._sock is not None:
            data = self._encode(Kind.MESSAGE, 0, message, len(descriptors))
            self.credits -= 1
            self._outbox.put(data, descriptors)

    def flush(self) -> bool:
        """Send what is collected now; False when the peer is known to be gone.

        True says that the peer's end was open at this moment, not that the peer has read anything.
        """
        self._outbox.flush()
        return self._sock is not None and not self._outbox.broken

    async def send(self, message: Out, descriptors: Sequence[int] = ()) -> None:
        """Send when there is credit. Raises ChannelClosed."""
        while not self.try_send(message, descriptors):
            await self._credit()

    async def call(self, message: Out) -> In:
        """Send a call when there is credit, and wait for its answer. Raises ChannelClosed."""
        while self.credits <= 0 or self._sock is None:
            await self._credit()
        return await self.begin_call(message)

    def begin_call(self, message: Out) -> "asyncio.Future[In]":
        """Send a call now, spending credit even where there is none left, and return its future answer."""
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        answer: asyncio.Future[In] = self._loop.create_future()
        if self._sock is None:
            answer.set_exception(ChannelClosed("the channel is closed"))
            return answer
        data = self._encode(Kind.CALL, self._serial, message)
        self.credits -= 1
        self._calls[self._serial] = answer
        self._outbox.put(data)
        return answer

    def answer(self, serial: int, message: Out) -> None:
        """Answer the call that came with ``serial``."""
        if self._sock is not None:
            self._outbox.put(self._encode(Kind.ANSWER, serial, message))

    def grant(self, count: int) -> None:
        """Give the peer ``count`` more credits."""
        self._outbox.owed += count
        self._outbox.flush_soon()

    async def flushed(self) -> None:
        """Wait until all that was sent so far is in the kernel. Raises ChannelClosed."""
        await self._outbox.flushed()
        if self._sock is None:
            raise ChannelClosed("the channel is closed")

    def close(self) -> None:
        """Send what can be sent at once, and close; ``on_closed`` is not called. See ``flushed`` for the rest."""
        self._outbox.flush()
        self._on_closed = None
        self._end(None)

    # -- our own: out

    def _encode(self, kind: Kind, serial: int, message: Out, descriptors: int = 0) -> bytes:
        payload = _ENCODER.encode(message)
        if len(payload) > self._limit or descriptors > MAX_DESCRIPTORS:
            raise ValueError(f"a message of {len(payload)} octets and {descriptors} descriptors is over the limit")
        return frame(kind, serial, payload, descriptors)

    async def _credit(self) -> None:
        if self._sock is None:
            raise ChannelClosed("the channel is closed")
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was woken and leaves all the same: its turn goes to the next
                self._wake_some(min(self.credits, 1))
            raise

    def _wake_some(self, count: int) -> None:
        while count > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    # -- our own: in

    def _readable(self) -> None:
        """Read until there is nothing more, as ``net.poll`` says why, but let others have their turn in between."""
        for _ in range(_READS):
            if self._sock is None or not self._read(self._sock):
                return
        self._loop.call_soon(self._readable)

    def _read(self, sock: socket.socket) -> bool:
        """Read once; tells whether there may be more."""
        try:
            size, ancillary, flags, _ = sock.recvmsg_into([self._buffer], _SPACE, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(error)
            return False
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._descriptors.extend(memoryview(data[: len(data) & ~3]).cast("i"))
        if flags & socket.MSG_CTRUNC:
            self._end(ChannelError("too many descriptors at once"))
        elif not size:
            self._end(ChannelError("it ended inside a frame") if self._splitter.kept else None)
        else:
            self._take(self._view[:size])
        return True

    def _take(self, data: memoryview) -> None:
        messages: list[In] = []
        calls: list[tuple[int, In]] = []
        error: Exception | None = None
        try:
            for each in self._splitter.feed(data):
                self._take_frame(each, messages, calls)
        except (ChannelError, *_UNREADABLE) as problem:
            error = problem
        self._hand_on(messages, calls)
        if error is not None:
            self._end(error)

    def _take_frame(self, each: Frame, messages: list[In], calls: list[tuple[int, In]]) -> None:
        if each.kind == Kind.MESSAGE and not each.descriptors:
            messages.append(self._decoder.decode(each.payload))
        elif each.kind == Kind.HELLO:
            self._greet(_HELLO.decode(each.payload))
        elif not self._greeted:
            raise ChannelError("no hello")
        elif each.kind == Kind.CALL:
            calls.append((each.serial, self._decoder.decode(each.payload)))
        elif each.kind == Kind.ANSWER:
            self._settle(each.serial, self._decoder.decode(each.payload))
        elif each.kind == Kind.GRANT:
            self._receive_credit(each.serial)
        else:
            self._take_passed(each, messages)

    def _greet(self, hello: Hello) -> None:
        if self._greeted or (hello.records, hello.version) != (self._hello.records, self._hello.version):
            raise ChannelError(f"the peer speaks {hello.records} version {hello.version}")
        self._greeted = True
        self._receive_credit(hello.credits)

    def _receive_credit(self, count: int) -> None:
        self.credits += count
        self._wake_some(self.credits)
        if self._on_credit is not None:
            self._on_credit()

    def _settle(self, serial: int, message: In) -> None:
        future = self._calls.pop(serial, None)
        if future is None:
            raise ChannelError("an answer to no call")
        if not future.done():  # whoever asked may have given up
            future.set_result(message)

    def _take_passed(self, each: Frame, messages: list[In]) -> None:
        if len(self._descriptors) < each.descriptors:
            raise ChannelError("descriptors are missing")
        taken = [self._descriptors.popleft() for _ in range(each.descriptors)]
        try:
            message = self._decoder.decode(each.payload)
        except _UNREADABLE:
            close_all(taken)
            raise
        batch, messages[:] = list(messages), []
        self._hand_on(batch, [])
        if self._on_passed is None:
            close_all(taken)
            raise ChannelError("nobody expects descriptors here")
        self._on_passed(message, taken)
        self._done(1)

    def _hand_on(self, messages: list[In], calls: list[tuple[int, In]]) -> None:
        if messages:
            self._on_batch(messages)
        if calls:
            if self._on_calls is None:
                self._end(ChannelError("nobody answers calls here"))
                return
            self._on_calls(calls)
        self._done(len(messages) + len(calls))

    def _done(self, count: int) -> None:
        if self._automatic and count:
            self._outbox.owed += count
            # PERF: a grant rides with the next flush; alone it goes only when the peer may soon run dry.
            if self._outbox.owed * 4 >= self._hello.credits:
                self._outbox.flush_soon()

    def _end(self, error: Exception | None) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._loop.remove_reader(sock.fileno())
        self._outbox.end()
        sock.close()
        close_all(self._descriptors)
        self._fail_waiting(error)
        if self._on_closed is not None:
            self._on_closed(error)

    def _fail_waiting(self, error: Exception | None) -> None:
        for call in self._calls.values():
            if not call.done():
                call.set_exception(ChannelClosed(str(error or "the peer is gone")))
        self._calls.clear()
        self._wake_some(len(self._waiters))  # each looks again, and finds the channel closed


__all__ = ["Channel", "ChannelClosed", "ChannelError", "Hello"]
