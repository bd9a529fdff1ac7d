"""The mailer ``file``: appends to files that aliases and ``.forward`` files name; a slash at the end means a Maildir.

The route's ``user`` is the path, its ``host`` the Unix user whose file named it. Who appends, and as which user, is the
injected ``Append``'s: the delivery agent of that user where we are root.

Trust: the path is the administrator's or the user's; nothing of the message goes into it.
Durability: see formats.base; what is settled as delivered is on disk.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from typing import Protocol

from penfold.formats import maildir
from penfold.formats.base import Message, Result, Stored, reply_of
from penfold.formats.mbox import Mbox
from penfold.fs.base import FileSystem
from penfold.fs.locks import LockPolicy
from penfold.model import (
    Deferred,
    Delivered,
    Failed,
    Job,
    MailError,
    Outcome,
    Reply,
    Route,
    Settlement,
    Target,
    Transient,
)
from penfold.queue.base import Bodies
from penfold.transport.mailers import final


class Append(Protocol):
    """Appends messages to the file or Maildir at ``path`` with the rights of ``user`` (``""``: the default user)."""

    async def __call__(self, user: str, path: str, messages: Sequence[Message], /) -> Sequence[Result]:
        """One result each, in order. Raises MailError when nothing could be tried."""


class FileMailer:
    """Appends to files."""

    name = "file"

    def __init__(self, bodies: Bodies, append: Append, *, most: int = 0) -> None:
        """``most``: the octets of the largest message (0: no limit)."""
        self._bodies = bodies
        self._append = append
        self._most = most

    def lane(self, route: Route) -> str:
        """Name the lane: one for each file, because each has one lock."""
        return f"file:{route.host}:{route.user}"

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Append all messages under one lock."""
        messages: list[Message] = []
        waiting: list[tuple[Job, Target]] = []
        for job in jobs:
            for target in job.targets:
                found = self._prepared(job, target)
                if isinstance(found, Message):
                    messages.append(found)
                    waiting.append((job, target))
                else:
                    yield Settlement(job.id, target.number, found)
        if not waiting:
            return
        route = waiting[0][1].route
        for (job, target), outcome in zip(waiting, await self._store(route, messages), strict=True):
            yield Settlement(job.id, target.number, outcome)

    def _prepared(self, job: Job, target: Target) -> Message | Outcome:
        stands_for = final.named_by(target.recipient)
        body = self._bodies.open(job.body)
        refusal = final.refusal(body, stands_for, self._most)
        if refusal is not None:
            return refusal
        sender = job.envelope.reverse_path
        return Message(
            prefix=final.fields(job.envelope, stands_for),
            body=body,
            reverse_path="" if sender is None else str(sender),
            arrived=job.envelope.arrived,
            unique=f"{job.id}R{target.number}",
        )

    async def _store(self, route: Route, messages: Sequence[Message]) -> list[Outcome]:
        try:
            results = await self._append(route.host, route.user, messages)
        except MailError as error:
            return [_outcome(error)] * len(messages)
        return [_outcome(result) for result in results]


def _outcome(result: Result) -> Outcome:
    if isinstance(result, Stored):
        return Delivered(Reply.of(250, "2.0.0", "Appended to the file"), final=True)
    reply = reply_of(result)
    return Deferred(reply) if reply.transient else Failed(reply)


class AppendHere:
    """Appends in this process, in a thread: where it runs as the one user whose files may be written.

    ``users`` are the names it may write for: ``""`` for administrators' tables, our own user's name.
    """

    def __init__(
        self, fs: FileSystem, users: frozenset[str], *, host: str, locks: LockPolicy, executor: Executor | None = None
    ) -> None:
        self._fs = fs
        self._users = users
        self._host = host
        self._locks = locks
        self._executor = executor

    async def __call__(self, user: str, path: str, messages: Sequence[Message], /) -> Sequence[Result]:
        """Append."""
        if user not in self._users:
            raise Transient(Reply.of(451, "4.3.5", f"This process may not write files of the user {user!r}"))
        if not path.startswith("/"):
            raise Transient(Reply.of(451, "4.3.5", "The path of a file must begin with /"))
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._append, path, messages)

    def _append(self, path: str, messages: Sequence[Message]) -> list[Result]:
        if path.endswith("/"):
            items = [(path.rstrip("/") or "/", message) for message in messages]
            return maildir.deliver_many(self._fs, items, host=self._host)
        return Mbox(self._fs, path, locks=self._locks).deliver(messages)
