"""Listeners through changes: kept over a reload, and over the execution of a new version of the program.

A socket that goes on listening loses no connection: clients wait in its backlog while processes change behind it.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from socket import socket

import msgspec

from penfold.config.sections import Config
from penfold.net.listener import bind_tcp, bind_unix, inherited
from penfold.service.supervisor import Kept

VARIABLE = "PENFOLD_KEPT"
Listeners = Mapping[str, list[socket]]


def bind(config: Config, old: Listeners | None = None) -> dict[str, list[socket]]:
    """Bind the configuration's listeners; one of ``old`` that listens where it should goes on. Raises OSError.

    Nothing of ``old`` is closed here: processes that still use it finish with it.
    """
    bound: dict[str, list[socket]] = {}
    made: list[socket] = []
    there = {_place(sock): sock for sockets in (old or {}).values() for sock in sockets}
    try:
        for listener in config.listen:
            bound[listener.name] = []
            for endpoint in listener.addresses:
                sock = there.get(endpoint.path or (endpoint.host, endpoint.port))
                if sock is None:
                    sock = bind_unix(endpoint.path) if endpoint.path else bind_tcp(endpoint.host, endpoint.port)
                    made.append(sock)
                bound[listener.name].append(sock)
    except OSError:
        for sock in made:
            sock.close()
        raise
    return bound


def _place(sock: socket) -> object:
    name = sock.getsockname()
    return (name[0], name[1]) if isinstance(name, tuple) else name


def rebind(config: Config, old: Listeners) -> dict[str, list[socket]]:
    """Give the listeners of a new configuration; sockets that are not the configuration's own stay. Raises OSError.

    What the new configuration no longer has is closed: nobody new can connect there.
    """
    bound = bind(config, old)
    kept = {sock for sockets in bound.values() for sock in sockets}
    for name, sockets in old.items():
        if name.startswith("run/"):
            bound[name] = sockets
            continue
        for sock in sockets:
            if sock not in kept:
                sock.close()
    return bound


class Estate(msgspec.Struct, array_like=True):
    """What one version of the program leaves to the next: children, and descriptors of listeners by name."""

    children: tuple[Kept, ...]
    listeners: dict[str, list[int]]


def leave(listeners: Callable[[], Listeners]) -> Callable[[Sequence[Kept]], None]:
    """Make the function that executes the program anew, with what it shall keep. That raises OSError."""

    def execute(children: Sequence[Kept]) -> None:
        descriptors: dict[str, list[int]] = {}
        for name, sockets in listeners().items():
            descriptors[name] = [sock.fileno() for sock in sockets]
            for sock in sockets:
                sock.set_inheritable(True)
        estate = Estate(tuple(children), descriptors)
        environment = {**os.environ, VARIABLE: msgspec.json.encode(estate).decode()}
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606 - ourselves, by the words we were called with

    return execute


def inherit() -> tuple[tuple[Kept, ...], dict[str, list[socket]]]:
    """Take what the version before left; nothing when there was none."""
    said = os.environ.pop(VARIABLE, "")
    if not said:
        return (), {}
    try:
        estate = msgspec.json.decode(said, type=Estate)
    except msgspec.DecodeError:
        return (), {}
    listeners = {name: [inherited(number) for number in numbers] for name, numbers in estate.listeners.items()}
    for sockets in listeners.values():
        for sock in sockets:
            sock.set_inheritable(False)
    return estate.children, listeners
