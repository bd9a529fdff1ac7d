"""The sockets for this machine's own programs, bound by the supervisor before any role exists.

``run/control.sock``  operators: all orders
``run/mailq.sock``    everybody: the listing of the queue, nothing else
``run/sendmail.sock`` everybody: one message in the pickup format
``run/smtp.sock``     everybody: SMTP for ``sendmail -bs``
``metrics``           HTTP for Prometheus, where ``telemetry.metrics`` says so

The names hold a slash or are no listener's, so that they never meet a name of the configuration.

SECURITY: a role keeps the sockets of its own work and closes all others (``own``), so that a process which talks to
strangers can't answer as the operator's desk.
"""

import contextlib
import os
import pwd
from collections.abc import Mapping
from socket import socket

from penfold.config.sections import Config
from penfold.net.listener import bind_tcp, bind_unix

CONTROL, MAILQ = "run/control.sock", "run/mailq.sock"
SENDMAIL, SMTP = "run/sendmail.sock", "run/smtp.sock"
METRICS = "run/metrics"
QUEUE_OWN = frozenset({CONTROL, MAILQ, METRICS})
RECEIVE_OWN = frozenset({SENDMAIL, SMTP})

MAILDROP = "maildrop"
SET_ASIDE = "maildrop-refused"

Listeners = Mapping[str, list[socket]]


def bind_local(config: Config, left: Listeners | None = None) -> dict[str, list[socket]]:
    """Bind them all; what an earlier version of the program ``left`` goes on. Raises OSError."""
    root = os.geteuid() == 0
    modes = {CONTROL: 0o660 if root else 0o600, MAILQ: 0o666, SENDMAIL: 0o666, SMTP: 0o666}
    bound = {name: sockets for name, sockets in (left or {}).items() if name in modes or name == METRICS}
    for name, mode in modes.items():
        if name not in bound:
            bound[name] = [bind_unix(f"{config.data}/{name}", mode)]
    if root:
        os.chown(f"{config.data}/{CONTROL}", queue_uid(config), -1)
    if config.telemetry.metrics and METRICS not in bound:
        host, _, port = config.telemetry.metrics.rpartition(":")
        bound[METRICS] = [bind_tcp(host.strip("[]") or "127.0.0.1", int(port))]
    return bound


def make_directories(config: Config) -> None:
    """Make the place where ``sendmail`` leaves mail while no daemon runs, and the one for what was refused of it."""
    root = os.geteuid() == 0
    for name, mode in ((MAILDROP, 0o1733 if root else 0o700), (SET_ASIDE, 0o700)):
        path = f"{config.data}/{name}"
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        if root:
            os.chown(path, queue_uid(config), -1)
        os.chmod(path, mode)


def queue_uid(config: Config) -> int:
    """Tell which user role queue runs as."""
    if os.geteuid() != 0:
        return os.geteuid()
    try:
        return pwd.getpwnam(config.roles.user_queue).pw_uid
    except KeyError:
        return 0  # the role itself says what is wrong, and does not run


def own(listeners: Listeners, names: frozenset[str]) -> Listeners:
    """Keep the sockets named and close the others, in a role's own process."""
    for name, sockets in listeners.items():
        if name not in names:
            for each in sockets:
                each.close()
    return {name: sockets for name, sockets in listeners.items() if name in names}
