"""Runs a mail host: binds, forks the roles, supervises."""

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from socket import socket
from typing import NoReturn

import msgspec

from penfold.config.check import load_checked
from penfold.config.sections import Config
from penfold.model import ConfigError
from penfold.net.leash import Leash
from penfold.service import books, privileges, sockets, succession, unix, values
from penfold.service.notes import SupervisorNotes
from penfold.service.opener import Helper
from penfold.service.roles import base
from penfold.service.roles import execute as exec_role
from penfold.service.roles.auth import Auth
from penfold.service.roles.base import Place
from penfold.service.roles.local import Local
from penfold.service.roles.queue import Queue
from penfold.service.roles.receive import Receive
from penfold.service.roster import RosterNotes
from penfold.service.secure import Certificates
from penfold.service.supervisor import Plan, Seat, Supervisor, Work
from penfold.service.tallies import Tallies
from penfold.telemetry.metrics import Metrics

Listeners = Mapping[str, list[socket]]


def plan(config: Config) -> Plan:
    """Say how many processes of each role there are to be."""
    with_rights = {"exec": 1} if os.geteuid() == 0 else {}
    return Plan({"auth": 1, **with_rights, "local": config.roles.local, "queue": 1, "receive": config.roles.receive})


def prepare(config: Config) -> None:
    """Make the directories the roles need; as root, each belongs to the role that writes there."""
    roles = config.roles
    places = (
        (config.data, 0o755, ""),
        (config.spool, 0o700, roles.user_queue),
        (config.telemetry.events, 0o750, roles.user_queue),
        (f"{config.data}/run", 0o755, ""),
        (config.delivery.mail_root, 0o750, roles.user_local),
    )
    for path, mode, user in places:
        os.makedirs(path, mode=0o755, exist_ok=True)
        if os.geteuid() == 0 and user:
            privileges.give(path, user, roles.group, mode)
        elif os.stat(path).st_uid == os.geteuid():
            os.chmod(path, mode)
    sockets.make_directories(config)


def works(certificates: Certificates, tallies: Tallies, metrics: Metrics | None = None) -> dict[str, Work]:
    """Say what each role does: how it is made, as whom, with which sockets, and where it may write."""

    def post(
        make: Callable[[Place], base.Role],
        *,
        user: Callable[[Config], str],
        own: Callable[[Config], frozenset[str]] = lambda _: frozenset(),
        writes: Callable[[Config], tuple[str, ...] | None] = lambda _: (),
        secret: bool = False,
    ) -> Work:
        def work(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
            place = Place(seat, config, sockets.own(listeners, own(config)), metrics=metrics)
            return base.work(make, user(config), place, leash, writes=writes(config), secret=secret)

        return work

    def execute(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        return exec_role.work(Place(seat, config, sockets.own(listeners, frozenset()), metrics=metrics), leash)

    agents = os.geteuid() == 0
    return {
        "exec": execute,
        "queue": post(
            lambda place: Queue(place, agents=agents),
            user=lambda config: config.roles.user_queue,
            own=lambda _: sockets.QUEUE_OWN,
            # Without root it runs programs and fills mailboxes itself, wherever they are.
            writes=_queue_writes if agents else lambda _: None,
        ),
        "local": post(Local, user=lambda config: config.roles.user_local, writes=_local_writes),
        "auth": post(Auth, user=lambda config: config.roles.user_auth, secret=True),
        "receive": post(
            lambda place: Receive(place, certificates, tallies),
            user=lambda config: config.roles.user_receive,
            own=lambda config: sockets.RECEIVE_OWN | {listener.name for listener in config.listen},
        ),
    }


def _queue_writes(config: Config) -> tuple[str, ...]:
    drops = (f"{config.data}/{sockets.MAILDROP}", f"{config.data}/{sockets.SET_ASIDE}")
    log = (config.telemetry.log,) if config.telemetry.log.startswith("/") else ()
    return (config.spool, config.telemetry.events, *drops, *log)


def _local_writes(config: Config) -> tuple[str, ...]:
    return (config.delivery.mail_root, *{os.path.dirname(account.path) for account in values.accounts(config)})


def serve(config: Config, load: Callable[[], Config], ready: Callable[[], None]) -> int:
    """Serve until told to stop; returns the exit code."""
    config = unix.within_rights(config)
    children, left = succession.inherit()
    prepare(config)
    listeners = {**sockets.bind_local(config, left), **succession.bind(config, left)}
    helper = Helper(f"{config.data}/{sockets.MAILDROP}") if os.geteuid() == 0 else None
    if helper is not None:
        listeners[sockets.OPENER] = [helper.socket]
    metrics = Metrics(books.ROWS)
    tallies = Tallies()
    supervisor = Supervisor(
        config,
        works=works(Certificates(config), tallies, metrics),
        plan=plan,
        load=lambda: unix.within_rights(load()),
        listeners=listeners,
        rebind=succession.rebind,
        notes=RosterNotes(config.data, SupervisorNotes(config, sys.stderr), metrics),
        ready=ready,
        upgrade=succession.leave(lambda: supervisor.listeners, frozenset({sockets.OPENER})),
        kept=children,
        died=tallies.forget,
    )
    try:
        return supervisor.run()
    finally:
        if helper is not None:
            helper.close()


class LoadedApart(msgspec.Struct, array_like=True):
    """What the child that read the configuration has to say: a configuration with warnings, or what is wrong."""

    config: Config | None
    warnings: tuple[str, ...] = ()
    problem: str = ""
    file: str = ""
    line: int = 0
    hint: str = ""


_decode_answer = msgspec.msgpack.Decoder(LoadedApart).decode


def load_apart(path: str) -> tuple[Config, tuple[str, ...]]:
    """Read and check the configuration; as root, in a forked child without rights. Raises ConfigError.

    SECURITY: no byte of the file is parsed with root's rights.
    """
    if os.geteuid() != 0:
        config, findings = load_checked(path)
        return config, tuple(map(str, findings))
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _load_in_child(path, reading, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    if not said:
        raise ConfigError("the process that reads the configuration failed", file=path)
    answer = _decode_answer(said)
    if answer.config is None:
        raise ConfigError(answer.problem, file=answer.file, line=answer.line, hint=answer.hint)
    return answer.config, answer.warnings


def _load_in_child(path: str, reading: int, writing: int) -> NoReturn:
    code = 1
    try:
        os.close(reading)
        privileges.become_reader()
        try:
            config, findings = load_checked(path)
            answer = LoadedApart(config, tuple(map(str, findings)))
        except ConfigError as error:
            answer = LoadedApart(None, (), error.problem, error.file, error.line, error.hint)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(answer))
        code = 0
    except BaseException:  # noqa: BLE001 - the parent hears of it by the empty answer
        traceback.print_exc()
    finally:
        os._exit(code)
