"""Runs a mail host: binds, forks the roles, supervises."""

import os
import sys
from collections.abc import Callable, Mapping
from socket import socket
from typing import Any

from penfold.config.check import load_checked
from penfold.config.sections import Config
from penfold.net.leash import Leash
from penfold.service import (
    books,
    early,
    memory,
    opener,
    outgoing,
    privileges,
    reading,
    sockets,
    succession,
    unix,
    values,
)
from penfold.service.apart import apart
from penfold.service.compose import House
from penfold.service.notes import SupervisorNotes
from penfold.service.roles import base, local
from penfold.service.roles import execute as exec_role
from penfold.service.roles.access import Access
from penfold.service.roles.auth import Auth, verifiers
from penfold.service.roles.base import Place
from penfold.service.roles.queue import Queue
from penfold.service.roles.receive import Receive
from penfold.service.roles.send import Send
from penfold.service.roster import RosterNotes
from penfold.service.secure import Certificates
from penfold.service.supervisor import Plan, Seat, Supervisor, Work
from penfold.service.tallies import Tallies
from penfold.telemetry.metrics import Metrics

Listeners = Mapping[str, list[socket]]


def plan(config: Config) -> Plan:
    """Say how many processes of each role there are to be."""
    with_rights = {"exec": 1, "opener": 1} if os.geteuid() == 0 else {}
    roles = config.roles
    many = {"local": roles.local, "send": roles.send, "queue": 1, "receive": roles.receive}
    readers = {"access": 1} if any(map(values.read_by, config.listen)) else {}
    return Plan({"auth": 1, **with_rights, **many, **readers})


def prepare(config: Config) -> None:
    """Make the directories the roles need; as root, each belongs to the role that writes there."""
    roles = config.roles
    places = (
        (config.data, 0o755, ""),
        (config.spool, 0o700, roles.user_queue),
        (config.telemetry.events, 0o750, roles.user_queue),
        (f"{config.data}/run", 0o755, ""),
        (config.delivery.mail_root, 0o750, roles.user_local),
        (f"{config.data}/{reading.CACHE}", 0o700, roles.user_local),
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
        secrets: Callable[[Config], Any] = lambda _: None,
    ) -> Work:
        def work(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
            place = Place(seat, config, sockets.own(listeners, own(config)), metrics=metrics, secrets=secrets(config))
            return base.work(make, user(config), place, leash, writes=writes(config))

        return work

    def execute(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        return exec_role.work(Place(seat, config, sockets.own(listeners, frozenset()), metrics=metrics), leash)

    def opening(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        del seat
        sockets.own(listeners, frozenset())
        return opener.work(f"{config.data}/{sockets.MAILDROP}", leash)

    agents = os.geteuid() == 0
    return {
        "exec": execute,
        "opener": opening,
        "queue": post(
            lambda place: Queue(place, agents=agents),
            user=lambda config: config.roles.user_queue,
            own=lambda _: sockets.QUEUE_OWN,
            # Without root it runs programs and fills mailboxes itself, wherever they are.
            writes=_queue_writes if agents else lambda _: None,
            secrets=outgoing.login,
        ),
        "local": post(local.alone, user=lambda config: config.roles.user_local, writes=_local_writes),
        "send": post(Send, user=lambda config: config.roles.user_queue, secrets=outgoing.login),
        "auth": post(Auth, user=lambda config: config.roles.user_auth, secrets=verifiers),
        "receive": post(
            lambda place: Receive(place, certificates, tallies),
            user=lambda config: config.roles.user_receive,
            own=lambda config: sockets.RECEIVE_OWN | {each.name for each in config.listen if not values.read_by(each)},
        ),
        "access": post(
            lambda place: Access(place, certificates, tallies),
            user=lambda config: config.roles.user_local,
            own=lambda config: frozenset(each.name for each in config.listen if values.read_by(each)),
            writes=lambda config: (*_local_writes(config), f"{config.data}/{reading.CACHE}"),
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
    memory.give_back()
    early.import_late_things()
    config = unix.within_rights(config)
    children, left = succession.inherit()
    prepare(config)
    listeners = {**sockets.bind_local(config, left), **succession.bind(config, left)}
    metrics = Metrics(books.ROWS)
    tallies = Tallies()

    def begun() -> None:
        ready()
        memory.let_go_of_text()

    supervisor = Supervisor(
        config,
        works=works(Certificates(config), tallies, metrics),
        plan=plan,
        load=lambda: unix.within_rights(load()),
        listeners=listeners,
        rebind=succession.rebind,
        notes=RosterNotes(config.data, SupervisorNotes(config, sys.stderr), metrics),
        ready=begun,
        upgrade=succession.leave(lambda: supervisor.listeners),
        kept=children,
        died=tallies.forget,
    )
    return supervisor.run()


def load_apart(path: str) -> tuple[Config, tuple[str, ...]]:
    """Read and check the configuration; gives the warnings too. Raises ConfigError."""

    def load() -> tuple[Config, tuple[str, ...]]:
        config, findings = load_checked(path)
        House(unix.within_rights(config))  # reads the tables: one that is in error is told with file and line
        return config, tuple(map(str, findings))

    return apart(load, tuple[Config, tuple[str, ...]])
