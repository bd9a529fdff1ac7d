"""Runs a mail host: binds, forks the roles, supervises."""

import os
import sys
from collections.abc import Callable, Mapping
from socket import socket

from penfold.config.sections import Config
from penfold.net.leash import Leash
from penfold.net.listener import bind_tcp, bind_unix
from penfold.service.notes import SupervisorNotes
from penfold.service.roles import base
from penfold.service.roles.auth import Auth
from penfold.service.roles.base import Place
from penfold.service.roles.local import Local
from penfold.service.roles.queue import Queue
from penfold.service.roles.receive import Receive
from penfold.service.secure import Certificates
from penfold.service.supervisor import Plan, Seat, Supervisor, Work
from penfold.service.tallies import Tallies

Listeners = Mapping[str, list[socket]]


def plan(config: Config) -> Plan:
    """Say how many processes of each role there are to be."""
    return Plan({"auth": 1, "local": config.roles.local, "queue": 1, "receive": config.roles.receive})


def bind(config: Config) -> dict[str, list[socket]]:
    """Bind all listeners, once. Raises OSError."""
    return {
        listener.name: [
            bind_unix(endpoint.path) if endpoint.path else bind_tcp(endpoint.host, endpoint.port)
            for endpoint in listener.addresses
        ]
        for listener in config.listen
    }


def prepare(config: Config) -> None:
    """Make the directories the roles need, with their owners when we are root."""
    for path, mode in (("", 0o755), ("/spool", 0o700), ("/events", 0o750), ("/run", 0o755)):
        os.makedirs(config.data + path, mode=mode, exist_ok=True)


def works(certificates: Certificates, tallies: Tallies) -> dict[str, Work]:
    """Say what each role does."""

    def queue(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        return base.work(Queue, config.roles.user_queue, Place(seat, config, listeners), leash)

    def local(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        return base.work(Local, config.roles.user_local, Place(seat, config, listeners), leash)

    def auth(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        return base.work(Auth, config.roles.user_auth, Place(seat, config, listeners), leash, secret=True)

    def receive(config: Config, seat: Seat, leash: Leash, listeners: Listeners) -> int:
        def make(place: Place) -> Receive:
            return Receive(place, certificates, tallies)

        return base.work(make, config.roles.user_receive, Place(seat, config, listeners), leash)

    return {"queue": queue, "local": local, "auth": auth, "receive": receive}


def serve(config: Config, load: Callable[[], Config], ready: Callable[[], None]) -> int:
    """Serve until told to stop; returns the exit code."""
    prepare(config)
    listeners = bind(config)
    supervisor = Supervisor(
        config,
        works=works(Certificates(config), Tallies()),
        plan=plan,
        load=load,
        listeners=listeners,
        notes=SupervisorNotes(config, sys.stderr),
        ready=ready,
    )
    return supervisor.run()
