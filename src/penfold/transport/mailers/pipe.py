"""The mailer ``pipe``: hands messages to programs that aliases and ``.forward`` files name.

The route's ``user`` is the command line, its ``host`` the Unix user whose file named it (``""``: an administrator's
table; the program then runs as the configured user). The program gets the message on its standard input with LF line
ends, after a From_ line, Return-Path and Delivered-To, and the envelope in its environment: SENDER, RECIPIENT, LOCAL,
DOMAIN, EXTENSION, ORIGINAL_RECIPIENT, beside HOME, USER, LOGNAME, SHELL, PATH. Its exit status is the outcome.

SECURITY: a program may be a shell script, so what comes from strangers reaches the environment only with characters
that mean nothing to a shell; others become ``_``.

Trust: the envelope is the sender's, the command line the administrator's or the user's.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import msgspec

from penfold.formats.lines import to_lf
from penfold.formats.mbox import from_line
from penfold.model import Address, Deferred, Envelope, Job, MailError, Outcome, Reply, Route, Settlement, Target
from penfold.queue.base import Bodies, Body
from penfold.transport.mailers import final
from penfold.transport.mailers.command import CommandError, parse_command
from penfold.transport.mailers.exits import outcome_of
from penfold.transport.mailers.spawn import Command, Spawner

_UNSAFE = re.compile(r"[^0-9A-Za-z!@%_=+:,./-]")


class PipeSettings(msgspec.Struct, frozen=True):
    """``user`` runs what administrators' tables name (``""``: whoever we are); ``seconds`` is a program's time,
    ``output`` the octets of its words that a bounce may quote, ``most`` the size of a message (0: no limit),
    ``delimiter`` what stands before the extension of a local part.
    """

    user: str = ""
    seconds: float = 1000.0
    output: int = 4096
    most: int = 0
    from_line: bool = True
    path: str = "/usr/local/bin:/usr/bin:/bin"
    shell: str = "/bin/sh"
    delimiter: str = "+"


class PipeMailer:
    """Runs programs."""

    name = "pipe"

    def __init__(self, bodies: Bodies, spawner: Spawner, settings: PipeSettings | None = None) -> None:
        self._bodies = bodies
        self._spawner = spawner
        self._settings = settings or PipeSettings()

    def lane(self, route: Route) -> str:
        """Name the lane: one for each user whose programs run."""
        return f"pipe:{route.host or self._settings.user}"

    async def deliver(self, jobs: Sequence[Job]) -> AsyncIterator[Settlement]:
        """Run the programs of all targets, side by side."""
        tasks = [asyncio.ensure_future(self._settle(job, target)) for job in jobs for target in job.targets]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _settle(self, job: Job, target: Target) -> Settlement:
        return Settlement(job.id, target.number, await self._run(job, target))

    async def _run(self, job: Job, target: Target) -> Outcome:
        try:
            line = parse_command(target.route.user)
        except CommandError as error:
            return Deferred(Reply.of(451, "4.3.5", f"The command cannot be used: {error}"))
        stands_for = final.named_by(target.recipient)
        body = self._bodies.open(job.body)
        refusal = final.refusal(body, stands_for, self._settings.most)
        if refusal is not None:
            return refusal
        settings = self._settings
        command = Command(
            line.arguments,
            self._environment(job.envelope, target, stands_for),
            target.route.host or settings.user,
            settings.seconds,
            settings.output,
        )
        try:
            ended = await self._spawner.run(command, self._message(job.envelope, stands_for, body))
        except MailError as error:
            return Deferred(error.reply)
        if ended.late:
            return Deferred(Reply.of(451, "4.3.0", f"The program was still running after {settings.seconds:g} seconds"))
        status = ended.status
        if status and line.on_failure is not None:
            status = line.on_failure
        return outcome_of(status, ended.output)

    def _message(self, envelope: Envelope, stands_for: Address, body: Body) -> Iterator[bytes]:
        if self._settings.from_line:
            sender = "" if envelope.reverse_path is None else str(envelope.reverse_path)
            yield from_line(sender, envelope.arrived)
        yield from to_lf(final.wire(final.fields(envelope, stands_for), body))

    def _environment(self, envelope: Envelope, target: Target, stands_for: Address) -> Mapping[str, str]:
        _, _, extension = stands_for.local.partition(self._settings.delimiter)
        original = target.recipient.original or stands_for
        sender = envelope.reverse_path
        strangers = {
            "SENDER": "" if sender is None else str(sender),
            "RECIPIENT": str(stands_for),
            "LOCAL": stands_for.local,
            "DOMAIN": stands_for.domain,
            "EXTENSION": extension,
            "ORIGINAL_RECIPIENT": str(original),
        }
        environment = {name: _UNSAFE.sub("_", value) for name, value in strangers.items()}
        return environment | {"PATH": self._settings.path, "SHELL": self._settings.shell, "LANG": "C"}
