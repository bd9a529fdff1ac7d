"""``sendmail``: the command every program calls to send mail.

Options as in the original, Postfix and Exim, as far as programs use them. The message goes to the running daemon
through its Unix socket, which knows the sender by its credentials; without a daemon it is left in ``maildrop/``, to be
picked up when one runs. It imports next to nothing: it is started for every message.

PERF: 20 ms of CPU for a message, of which the interpreter's own start is 16.

Standards: RFC 5321 §2.3.1; RFC 3461 §4 (-N, -R, -V); sysexits
Trust: runs as whoever calls it and believes nothing about itself: who the sender is, the daemon asks the kernel.
Durability: with a daemon, exit 0 means durable in its queue; without one, that the file and its name are synced.
"""

from __future__ import annotations

import os
import sys

from penfold.cli.exits import EX_IOERR, EX_OK, EX_TEMPFAIL, INTERRUPTED
from penfold.cli.place import data_directory
from penfold.cli.sendmail_options import parse
from penfold.cli.submission import connect, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from penfold.cli.sendmail_options import Call

_OCTETS = 65536


def speak_smtp(call: Call) -> int:
    """Join standard input and output to the daemon's SMTP (``-bs``)."""
    link = connect(data_directory(call.config), "smtp.sock")
    if link is None:
        sys.stdout.write("421 4.3.2 The mail system is not running\r\n")
        return EX_TEMPFAIL
    import _socket
    import select

    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    watched = [link.fileno(), source]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if source in ready:
            octets = os.read(source, _OCTETS)
            if octets:
                link.sendall(octets)
            else:
                link.shutdown(_socket.SHUT_WR)
                watched.remove(source)
        if link.fileno() in ready:
            octets = link.recv(_OCTETS)
            if not octets:
                return EX_OK
            while octets:
                octets = octets[os.write(sink, octets) :]


def _become_daemon(call: Call) -> NoReturn:
    """Run the mail host as ``-bd`` asks; what starts us wants us in the foreground (systemd, a container) or not."""
    words = ["penfold", "serve", *(["--config", call.config] if call.config else [])]
    os.execvp(words[0], words)  # noqa: S606


def run(call: Call) -> int:
    """Do what the command line asks for; the exit code."""
    if call.mode in "dDl":
        _become_daemon(call)
    if call.mode == "s":
        return speak_smtp(call)
    if call.mode == "m" and call.flush is None:
        return submit(call)
    from penfold.cli import inquiry

    if call.mode == "p":
        return inquiry.listing(call.config)
    if call.mode == "i":
        return inquiry.order({"do": "aliases"}, call.config)
    if call.mode in "vt":
        return inquiry.verify(call.recipients, call.config)
    if call.mode in "hH":
        return EX_OK  # the memory of dead hosts is the queue manager's own, and short
    return inquiry.order({"do": "flush", "selection": call.flush or {}}, call.config)


def main(arguments: list[str] | None = None, name: str = "") -> int:
    """Run the command; returns the exit code (sysexits)."""
    name = name or os.path.basename(sys.argv[0]).removeprefix("penfold-")
    call = parse(sys.argv[1:] if arguments is None else arguments, name)
    try:
        return run(call)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_IOERR


if __name__ == "__main__":
    raise SystemExit(main())
