"""Where blocking work of the queue runs: one thread of its own, or, for tests, on the spot.

Each log and the index have one thread: their operations stay in order without locks, and a slow disk never stops the
loop.
"""

import asyncio
import threading
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

    def close(self) -> None:
        """Hand over what waits, and end."""


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


class InlineGatherer(Generic[T]):
    """A Gatherer that hands over in the loop's next turn, so that what is put in one turn is one group."""

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._items: list[T] = []
        self._commit = commit

    def put(self, item: T) -> None:
        """Add an item."""
        if not self._items:
            asyncio.get_running_loop().call_soon(self.close)
        self._items.append(item)

    def close(self) -> None:
        """Hand over what waits."""
        items, self._items = self._items, []
        if items:
            self._commit(items)
