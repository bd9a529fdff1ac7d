"""Show what runs, what waits, and what was done.

Exit code 0 when all is well, 1 when something needs a look (little room on the disk, a role that keeps dying), 69 when
no mail system is running.
"""

import argparse
import contextlib
import sys

import msgspec

from penfold.cli.ask import AskError, ask
from penfold.config.load import default_path, load
from penfold.telemetry.status import Status, render

MANY_RESTARTS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--config", metavar="FILE", default=default_path(), help="the configuration (%(default)s)")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """Ask, add what only we may see, show."""
    try:
        line = next(iter(ask(load(args.config).data, {"do": "status"})))
    except AskError as error:
        print(f"penfold status: {error}", file=sys.stderr)
        return error.code
    status = with_memory(msgspec.convert(line, Status))
    if args.json:
        print(msgspec.json.encode(status).decode())
    else:
        print(render(status), end="")
    return int(not well(status))


def well(status: Status) -> bool:
    """Tell whether nothing needs a look."""
    restless = any(role.restarts >= MANY_RESTARTS for role in status.roles)
    return not (status.trouble or restless or status.disk_free < status.disk_reserve)


def with_memory(status: Status) -> Status:
    """Fill in the memory of each process (PSS), where we may look."""
    roles = tuple(msgspec.structs.replace(role, memory=memory(role.pid)) for role in status.roles)
    return msgspec.structs.replace(status, roles=roles)


def memory(pid: int) -> int:
    """Give the proportional set size of a process in octets, 0 where it can't be read."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
