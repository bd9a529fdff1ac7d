"""The scheduler's bell: rung when there may be something to claim.

A ring before the wait is not lost; ``hush``, called before a claim looks, forgets the rings that claim will see to.
"""

import asyncio


class Bell:
    """One listener, any number of ringers, all on one loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the listener, or spare it the next wait."""
        self._event.set()

    def hush(self) -> None:
        """Forget the ringing so far: its reason has been seen to."""
        self._event.clear()

    async def wait(self, seconds: float | None) -> None:
        """Return when rung, or after ``seconds`` (None: never by itself)."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
