"""What delivers to Unix users, programs and files, as the one user this process is.

Started by root, that process is an agent (``service.agents``) and the user is any of those allowed; otherwise it is the
queue itself, which can be nobody but whoever started it.
"""

import asyncio
import os
import pwd
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import msgspec

from penfold.config.sections import Config
from penfold.delivery.agent import Agent
from penfold.delivery.forward import ForwardFiles
from penfold.delivery.mailboxes import Mailboxes
from penfold.directory.base import Account
from penfold.directory.passwd import PasswdDirectory
from penfold.fs.base import FileSystem
from penfold.model import Job, Settlement
from penfold.queue.base import Bodies
from penfold.service import values
from penfold.service.lines.execute import Kind
from penfold.service.mailers import AgentMailer
from penfold.transport.mailers.base import Mailer
from penfold.transport.mailers.file import AppendHere, FileMailer
from penfold.transport.mailers.pipe import PipeMailer, PipeSettings
from penfold.transport.mailers.spawn import LocalSpawner

THREADS = 2  # for the mailbox and files; programs have their own


def directory(config: Config) -> PasswdDirectory | None:
    """Build the directory of Unix users; None where they get no mail."""
    said = config.delivery
    if not said.unix_users:
        return None
    kind, _, path = said.unix_mailbox.partition(":")
    low, high = said.unix_uids
    return PasswdDirectory(
        uids=(low, high),
        format=kind,  # type: ignore[arg-type]  # checked by the configuration's pattern
        path=path.replace("{user}", "{login}"),
        quota=said.quota,
    )


def within_rights(config: Config) -> Config:
    """Leave only the Unix users we may deliver for: started by somebody else than root, that is nobody but him."""
    uid = os.geteuid()
    if uid == 0 or not config.delivery.unix_users:
        return config
    return values.updated(config, delivery=msgspec.structs.replace(config.delivery, unix_uids=(uid, uid)))


def names(config: Config) -> tuple[str, ...]:
    """Name the mailers that need the rights of Unix users."""
    said = config.delivery
    return ("file", *(["unix"] if said.unix_users else []), *(["pipe"] if said.programs else []))


def patience(config: Config) -> float:
    """Tell the longest that an agent's batch may take, in seconds."""
    return max(config.delivery.program_timeout, 2 * config.delivery.lock_timeout) + 60.0


def mailbox_agent(config: Config, bodies: Bodies, fs: FileSystem, account: Callable[[str], Account | None]) -> Agent:
    """Build what reads the ``.forward`` of an account and writes its mailbox."""
    return Agent(
        bodies=bodies,
        mailboxes=Mailboxes(
            fs, hostname=config.hostname, locks=values.locks(config), mode=int(config.delivery.mode, 8)
        ),
        account=account,
        forward=ForwardFiles(fs, uid=os.geteuid()) if config.delivery.forward_files else None,
    )


def program_mailer(config: Config, bodies: Bodies, user: str) -> PipeMailer:
    """Build what runs programs; ``user`` is the default one (``""``: whoever we are)."""
    said = config.delivery
    settings = PipeSettings(
        user=user,
        seconds=said.program_timeout,
        output=said.program_output,
        delimiter=config.routing.separator[:1] or "+",
    )
    threads = ThreadPoolExecutor(config.concurrency.programs, "program")
    return PipeMailer(bodies, LocalSpawner(threads), settings)


def file_mailer(
    config: Config, bodies: Bodies, fs: FileSystem, users: frozenset[str], executor: Executor | None = None
) -> FileMailer:
    """Build what appends to files, for these users."""
    here = AppendHere(fs, users, host=config.hostname, locks=values.locks(config), executor=executor)
    return FileMailer(bodies, here)


def oneself(config: Config, bodies: Bodies, apart: Bodies, fs: FileSystem) -> list[Mailer]:
    """Build the mailers ``pipe``, ``file`` and ``unix`` that work in this process, as who we are.

    ``bodies`` is read on the loop's thread, ``apart`` on others. SECURITY: as root, programs run as
    ``delivery.program_user``, and there are no files and no Unix users: that takes agents.
    """
    uid = os.geteuid()
    login = pwd.getpwuid(uid).pw_name
    threads = ThreadPoolExecutor(THREADS, "oneself")
    made: list[Mailer] = []
    if config.delivery.programs:
        made.append(program_mailer(config, bodies, config.delivery.program_user if uid == 0 else ""))
    if uid != 0:
        made.append(file_mailer(config, bodies, fs, frozenset({"", login}), threads))
    users = directory(config)
    if users is not None and uid != 0:
        made.append(AgentMailer(mailbox_agent(config, apart, fs, only(login, users.account)), threads, "unix"))
    return made


def only(login: str, find: Callable[[str], Account | None]) -> Callable[[str], Account | None]:
    """Give a look-up that knows one user alone. SECURITY: whatever the queue says, nobody else's mailbox is opened."""

    def account(key: str) -> Account | None:
        return find(login) if key.lower() == login.lower() else None

    return account


def deliverer(
    config: Config,
    kind: Kind,
    bodies: Bodies,
    fs: FileSystem,
    login: str,
    loop: asyncio.AbstractEventLoop,
    executor: Executor,
) -> Callable[[Sequence[Job]], list[Settlement]]:
    """Build what an agent of the user ``login`` does with a batch of jobs, in a thread other than the loop's."""
    if kind is Kind.MAILBOX:
        users = directory(config)
        if users is None:
            return lambda _: []
        return mailbox_agent(config, bodies, fs, only(login, users.account)).deliver
    mailers: dict[str, Mailer] = {
        "pipe": program_mailer(config, bodies, login),
        "file": file_mailer(config, bodies, fs, frozenset({"", login}), executor),
    }

    async def collect(mailer: Mailer, jobs: Sequence[Job]) -> list[Settlement]:
        return [settlement async for settlement in mailer.deliver(jobs)]

    def deliver(jobs: Sequence[Job]) -> list[Settlement]:
        mailer = mailers.get(jobs[0].targets[0].route.mailer) if jobs else None
        if mailer is None:
            return []
        return asyncio.run_coroutine_threadsafe(collect(mailer, jobs), loop).result()

    return deliver
