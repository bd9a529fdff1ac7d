"""Opens the folder that lies at a spot, by the format of its account.

A spot we may not write to gets a control directory in the cache for what its format would carry otherwise.
"""

import contextlib
import os

from penfold.formats.detect import Format
from penfold.store.files.folder import Folder, Means
from penfold.store.files.layout import Place, Spot
from penfold.store.files.maildir import MaildirFolder
from penfold.store.files.mh import MhFolder
from penfold.store.files.spool import SpoolFolder
from penfold.store.files.spoolshape import MboxFile, MmdfFile


def open_folder(place: Place, spot: Spot, control: str, means: Means) -> Folder:
    """Give the folder."""
    writable, maildir = _writable(spot.path), place.format is Format.MAILDIR
    if not (writable and maildir):
        with contextlib.suppress(FileExistsError):
            means.fs.mkdir(control)
    if maildir:
        return MaildirFolder(means, spot.path, control, writable=writable)
    if place.format is Format.MH:
        return MhFolder(means, spot.path, control, writable=writable)
    shape = MmdfFile() if place.format is Format.MMDF else MboxFile()
    return SpoolFolder(means, spot.path, control, shape, writable=writable, optional=spot.path == place.inbox)


def _writable(path: str) -> bool:
    """Ask the kernel; what only a driver of a file system knows is taken for writable."""
    return os.access(path, os.W_OK) or not os.path.lexists(path)
