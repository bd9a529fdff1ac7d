"""Where blocking work on a disk runs: one thread of its own, or, for tests, on the spot.

A log, or an index, has one thread: their operations stay in order without locks, and a slow disk never stops the
loop.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
I_contra = TypeVar("I_contra", contravariant=True)


class Worker(Protocol):
    """Runs blocking calls one after the other."""

    async def run(self, call: Callable[[], T]) -> T:
        """Run it and give its result."""

    def wait(self, call: Callable[[], T]) -> T:
        """The same, blocking the caller."""

    def close(self) -> None:
        """Finish what was begun."""


class Thread:
    """A Worker with a thread."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, name)

    async def run(self, call: Callable[[], T]) -> T:
        """Run it in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def wait(self, call: Callable[[], T]) -> T:
        """Run it in the thread; never call this from the thread itself."""
        return self._pool.submit(call).result()

    def close(self) -> None:
        """Finish and end the thread."""
        self._pool.shutdown()


class Inline:
    """A Worker without a thread: everything happens in the caller, in a reproducible order."""

    async def run(self, call: Callable[[], T]) -> T:
        """Run it now."""
        return call()

    def wait(self, call: Callable[[], T]) -> T:
        """Run it now."""
        return call()

    def close(self) -> None:
        """Nothing to end."""


class Gatherer(Protocol[I_contra]):
    """Gathers items and hands all that wait to one call: the shape of a group commit."""

    def put(self, item: I_contra) -> None:
        """Add an item."""

    def flush(self) -> None:
        """Hand over what waits, on the loop."""

    def close(self) -> None:
        """Hand over what waits, and end; blocks."""


class ThreadGatherer(Generic[T]):
    """A Gatherer with a thread: takes all that waits, no timer."""

    def __init__(self, name: str, commit: Callable[[list[T]], None]) -> None:
        self._items: SimpleQueue[T | None] = SimpleQueue()
        self._commit = commit
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Add an item."""
        self._items.put(item)

    def flush(self) -> None:
        """Do nothing: the thread has it all."""

    def close(self) -> None:
        """End the thread after what waits."""
        self._items.put(None)
        self._thread.join()

    def _loop(self) -> None:
        going = True
        while going:
            batch = [self._items.get()]
            try:
                while True:
                    batch.append(self._items.get_nowait())
            except Empty:
                pass
            items = [item for item in batch if item is not None]
            going = len(items) == len(batch)
            if items:
                self._commit(items)


class WhileBusy(Generic[T]):
    """A Gatherer before another: holds items while the loop is busy, for ``PATIENCE`` at most, and hands them over at
    once when there is nothing else to do.

    ``heard`` counts what the loop has read. When a whole turn of it brought nothing new, nobody can join the group
    without being waited for. So an item alone waits for one turn, some 20 us, and under load groups become large.

    PERF: a group costs 0.2 ms of CPU (thread switches, futexes, two system calls) however many are in it. Without this,
    the sync thread takes the first message alone as soon as the disk is quick: 18 % more CPU for relayed mail.
    """

    PATIENCE = 0.006  # seconds

    def __init__(
        self, inner: Gatherer[T], heard: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._heard = heard
        self._clock = clock
        self._items: list[T] = []
        self._until = 0.0
        self._seen = 0

    def put(self, item: T) -> None:
        """Add an item."""
        self._items.append(item)
        if len(self._items) == 1:
            self._until = self._clock() + self.PATIENCE
            self._look_again(self._heard())

    def flush(self) -> None:
        """Hand over what waits."""
        items, self._items = self._items, []
        for item in items:
            self._inner.put(item)

    def close(self) -> None:
        """End the other one; ``flush`` comes first."""
        self._inner.close()

    def _look(self) -> None:
        if not self._items:  # flushed meanwhile
            return
        heard = self._heard()
        if heard == self._seen or self._clock() > self._until:
            self.flush()
        else:
            self._look_again(heard)

    def _look_again(self, heard: int) -> None:
        self._seen = heard
        asyncio.get_running_loop().call_soon(self._look)


class InlineGatherer(Generic[T]):
    """A Gatherer that hands over in the loop's next turn, so that what is put in one turn is one group."""

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._items: list[T] = []
        self._commit = commit

    def put(self, item: T) -> None:
        """Add an item."""
        if not self._items:
            asyncio.get_running_loop().call_soon(self.flush)
        self._items.append(item)

    def close(self) -> None:
        """Hand over what waits."""
        self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        items, self._items = self._items, []
        if items:
            self._commit(items)
