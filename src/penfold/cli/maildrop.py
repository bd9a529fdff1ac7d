"""The maildrop: where ``sendmail`` leaves a message while no mail system runs, to be picked up when one does.

Durability: exit 0 means that the file and its name are synced.
"""

from __future__ import annotations

import os
import sys

from penfold.cli.exits import EX_IOERR, EX_OK, EX_TEMPFAIL
from penfold.protocols.pickup.writer import END, chunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def drop(data: str, start: bytes, content: Iterator[bytes]) -> int:
    """Leave the message in ``maildrop/``: written under a temporary name, synced, then given its name.

    SECURITY: O_EXCL and O_NOFOLLOW, mode 0600, a random name; the directory is 1733, so nobody lists or renames the
    files of others. Whoever picks it up believes only the file's owner.
    """
    directory, name = os.path.join(data, "maildrop"), os.urandom(12).hex()
    path = os.path.join(directory, f".{name}")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        sys.stderr.write(
            f"sendmail: no mail system is running, and mail can't be left for it in {directory}: {error.strerror}; "
            "the message was NOT sent\n  hint: start it with: penfold serve\n"
        )
        return EX_TEMPFAIL
    try:
        return _fill(fd, path, os.path.join(directory, name), start, content)
    except BaseException as error:
        os.unlink(path)
        if not isinstance(error, OSError):
            raise
        sys.stderr.write(f"sendmail: cannot write {directory}: {error.strerror}; the message was NOT sent\n")
        return EX_IOERR
    finally:
        os.close(fd)


def _fill(fd: int, path: str, final: str, start: bytes, content: Iterator[bytes]) -> int:
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(start)
        for piece in content:
            file.write(chunk(piece))
        file.write(END)
    os.fsync(fd)
    os.rename(path, final)
    _sync_name(os.path.dirname(final))
    return EX_OK


def _sync_name(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        # A directory of mode 1733 can't be opened for reading by its users: syncing everything does as well.
        os.sync()
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
