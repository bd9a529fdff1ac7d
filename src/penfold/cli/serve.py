"""Run the mail host in the foreground: a supervisor and its roles.

As root it binds its ports and gives every role a user of its own; as any other user the same roles run under that user.
Stop it with SIGTERM or Ctrl-C: sessions under way are finished, mail stays in the queue. SIGHUP reads the configuration
again; when that has an error, the old one stays in force and the log says why. SIGUSR2 replaces the running program by
a new version without closing a listener.
"""

import argparse
import os
import sys

from penfold.config.load import default_path
from penfold.model.errors import ConfigError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--config", metavar="FILE", default=default_path(), help="the configuration (%(default)s)")
    parser.add_argument("--together", action="store_true", help="all roles in one process, to try and to debug")
    parser.add_argument("--check", action="store_true", help="check the configuration and exit")


def run(args: argparse.Namespace) -> int:
    """Serve."""
    from penfold.service.privileges import CannotDropError
    from penfold.service.serve import load_apart, serve

    path = os.path.abspath(args.config)

    config, warnings = load_apart(path)
    for warning in warnings:
        print(warning, file=sys.stderr)
    if args.check:
        return 0
    try:
        if args.together:
            from penfold.service.together import serve_together

            return serve_together(config, ready=_ready)
        return serve(config, lambda: load_apart(path)[0], ready=_ready)
    except OSError as error:
        raise ConfigError(
            f"a listener cannot be opened: {error.strerror or error}",
            file=path,
            hint="is another mail server running? ports below 1024 need root",
        ) from None
    except CannotDropError as error:
        raise ConfigError(str(error), file=path) from None


def _ready() -> None:
    """Say that it accepts: to whoever waits on standard output, and to systemd."""
    print("ready", flush=True)
    notify("READY=1")


def notify(state: str) -> None:
    """Tell the service manager, if there is one (sd_notify)."""
    import socket

    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        address = "\0" + path[1:] if path.startswith("@") else path
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return
