"""Replaces a small file as a whole: written beside it, synced, renamed over it.

CRASH: before the rename the old file stands and a file ``NAME.tmp`` is left, which the next replacement removes.
Durability: content, then name, then return.
"""

import contextlib
import os

from penfold.fs.base import FileSystem


def replace(fs: FileSystem, path: str, text: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Give the file this content. Raises OSError; the file is as it was then."""
    temporary = f"{path}.tmp"
    with contextlib.suppress(FileNotFoundError):
        fs.unlink(temporary)
    try:
        with contextlib.closing(fs.create(temporary, mode)) as file:
            file.append([text])
            if durable:
                file.datasync()
        fs.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            fs.unlink(temporary)
        raise
    if durable:
        fs.sync_directory(os.path.dirname(path) or ".")


def content(fs: FileSystem, path: str) -> bytes | None:
    """Read a file that need not be there."""
    try:
        return fs.read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
