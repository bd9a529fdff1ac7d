"""Which format a mailbox has, told from what lies at its path.

Trust: the path's content is its owner's; a wrong guess costs him a refused mailbox, nothing else.
"""

import contextlib
import re
import stat as modes
from enum import StrEnum
from typing import Final

from penfold.formats.mmdf import SEPARATOR
from penfold.formats.spoolfile import opened
from penfold.fs.base import FileSystem

_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")
_PARTS: Final = ("cur", "new", "tmp")


class Format(StrEnum):
    """The mailbox formats on disk."""

    MBOX = "mbox"
    MMDF = "mmdf"
    MH = "mh"
    MAILDIR = "maildir"


def detect(fs: FileSystem, path: str) -> Format | None:
    """Tell the format; None when nothing is there or it is no mailbox. An empty file is an mbox.

    A directory with ``cur``, ``new`` and ``tmp`` is a Maildir; one with ``.mh_sequences`` or numbered files is MH.
    Raises OSError when it cannot be looked at.
    """
    try:
        mode = fs.stat(path).mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if modes.S_ISDIR(mode):
        return _directory(fs, path)
    return _file(fs, path) if modes.S_ISREG(mode) else None


def _directory(fs: FileSystem, path: str) -> Format | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if all(modes.S_ISDIR(fs.stat(f"{path}/{part}").mode) for part in _PARTS):
            return Format.MAILDIR
    names = fs.names(path)
    return Format.MH if ".mh_sequences" in names or any(_NUMBER.fullmatch(name) for name in names) else None


def _file(fs: FileSystem, path: str) -> Format | None:
    with opened(fs, path) as file:
        head = file.read_at(0, len(SEPARATOR))
    if head == SEPARATOR:
        return Format.MMDF
    return Format.MBOX if not head or head == b"From " else None
