"""Ways out that lead to work of our own: the delivery agent in a thread of this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor

from penfold.delivery.agent import Agent
from penfold.model import Job, Route, Settlement


class AgentMailer:
    """The local delivery agent, in an executor. All local mail is one lane: batches share their syncing."""

    def __init__(self, agent: Agent, executor: Executor, name: str = "local") -> None:
        self.name = name
        self._agent = agent
        self._executor = executor

    def lane(self, route: Route) -> str:
        """Name the lane."""
        del route
        return self.name

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Deliver a batch."""
        loop = asyncio.get_running_loop()
        for settlement in await loop.run_in_executor(self._executor, self._agent.deliver, jobs):
            yield settlement
