"""How the mail host is: gathers what ``penfold status`` shows."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from penfold.config.sections import Config
from penfold.queue.admin import QueueAdmin, Selection
from penfold.service.roster import Roster, read_roster
from penfold.telemetry.metrics import Metrics
from penfold.telemetry.status import RoleStatus, Status, Traffic, traffic


class Condition:
    """Answers from inside role queue."""

    def __init__(
        self,
        config: Config,
        admin: QueueAdmin,
        depth: Callable[[], Mapping[str, int]],
        metrics: Metrics | None,
    ) -> None:
        self._config = config
        self._admin = admin
        self._depth = depth
        self._metrics = metrics

    def page(self) -> str:
        """Write the metrics, with the queue's depth as it is now."""
        metrics = self._metrics
        if metrics is None:
            return ""
        for word, count in self._depth().items():
            if word == "messages":
                metrics.set("penfold_queue_messages", to=count)
            else:
                metrics.set("penfold_queue_recipients", word, to=count)
        return metrics.exposition()

    async def status(self) -> Status:
        """Gather it."""
        config = self._config
        roster, disk = await asyncio.to_thread(lambda: (read_roster(config.data), os.statvfs(config.spool)))
        oldest = await self._admin.select(Selection(), 1)
        return Status(
            hostname=config.hostname,
            version="" if roster is None else roster.version,
            at=time.time(),
            started=0.0 if roster is None else roster.started,
            roles=_roles(roster),
            listeners=tuple(f"{each} ({listener.role})" for listener in config.listen for each in listener.addresses),
            queue={word: count for word, count in self._depth().items() if count},
            oldest=oldest[0].arrived if oldest else 0.0,
            traffic=traffic(self._metrics) if self._metrics is not None else Traffic(),
            disk_free=disk.f_bavail * disk.f_frsize,
            disk_reserve=config.queue.reserve,
        )


def _roles(roster: Roster | None) -> tuple[RoleStatus, ...]:
    if roster is None:
        return ()
    head = RoleStatus("supervisor", roster.pid, roster.started)
    rest = (RoleStatus(each.role, each.pid, each.since, restarts=each.restarts) for each in roster.members)
    return (head, *rest)
