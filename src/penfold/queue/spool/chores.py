"""Chores of the custodian: what is done a while later, once, however often it was asked for meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Chore(NamedTuple):
    """One kind of work that may wait. ``complaint`` names it for the postmaster when the disk refuses it."""

    work: Callable[[], Awaitable[None]]
    complaint: str
    again: float  # seconds until it is tried again


class Chores:
    """A timer for each chore that is asked for, and the tasks of those that run."""

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._table: dict[str, Chore] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def enlist(self, name: str, chore: Chore) -> None:
        """Learn how a chore is done."""
        self._table[name] = chore

    def after(self, name: str, seconds: float) -> None:
        """Have a chore done in ``seconds``, or earlier when it is asked for already."""
        if name not in self._timers and not self._closing:
            self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._due, name)

    def _due(self, name: str) -> None:
        del self._timers[name]
        task = asyncio.ensure_future(self.do(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def do(self, name: str) -> None:
        """Do a chore now; when the disk refuses it, say so and try it again later."""
        chore = self._table[name]
        try:
            await chore.work()
        except OSError as error:
            self._trouble(f"{chore.complaint}: {error}")
            self.after(name, chore.again)

    def stop(self) -> None:
        """Begin no chore any more."""
        self._closing = True
        for timer in self._timers.values():
            timer.cancel()

    async def close(self) -> None:
        """Begin no chore any more, and wait for those that run."""
        self.stop()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
