"""Asks the running daemon: one JSON line out, JSON lines back, the last one ``done`` or ``error``.

Imports little, because ``mailq`` uses it.

Trust: the daemon is ours; what it passes on of strangers is escaped by whoever shows it.
"""

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from penfold.cli.exits import EX_NOPERM, EX_TEMPFAIL, EX_UNAVAILABLE

SECONDS = 300.0
CONTROL, MAILQ = "run/control.sock", "run/mailq.sock"


class AskError(Exception):
    """It can't be done; the message says why, ``code`` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def ask(data: str, request: dict[str, object], *, anybody: bool = False) -> Iterator[dict[str, Any]]:
    """Give the lines of the answer, and at last what ``done`` holds as ``{"done": ...}``. Raises AskError.

    ``anybody`` falls back to the socket where everybody may list the queue.
    """
    names = (CONTROL, MAILQ) if anybody else (CONTROL,)
    with _connect(data, names) as sock:
        try:
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as lines:
                yield from _answer(lines)
        except TimeoutError:
            raise AskError("the mail system does not answer", EX_TEMPFAIL) from None
        except OSError as error:
            raise AskError(f"the mail system went away: {error.strerror}", EX_TEMPFAIL) from None


def _answer(lines: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - typing.IO would be one more import
    for line in lines:
        value = json.loads(line)
        if "error" in value:
            raise AskError(value["error"], int(value.get("code", EX_UNAVAILABLE)))
        yield value
        if "done" in value:
            return
    raise AskError("the mail system went away before its answer was whole", EX_TEMPFAIL)


def _connect(data: str, names: tuple[str, ...]) -> socket.socket:
    problem: OSError | None = None
    for name in names:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(SECONDS)
        try:
            sock.connect(os.path.join(data, name))
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    if isinstance(problem, PermissionError):
        raise AskError("only root and the owner of the data directory may do this", EX_NOPERM)
    raise AskError(
        f"no mail system is running in {data}\n  hint: start it with: penfold serve", EX_UNAVAILABLE
    ) from problem
