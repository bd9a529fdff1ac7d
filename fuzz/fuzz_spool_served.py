"""An mbox or MMDF file of anyone's making is served: flagged, expunged, appended to, and the rest stays what it was."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator

from penfold.fs.locks import LockPolicy
from penfold.fs.posix import PosixFileSystem
from penfold.store.files.folder import Means, New
from penfold.store.files.spool import SpoolFolder
from penfold.store.files.spoolshape import MboxFile, MmdfFile

_BAR = b"\x01\x01\x01\x01\n"
SEEDS: list[bytes] = [
    b"From a@b Mon Jan  1 00:00:00 2024\nSubject: x\nStatus: RO\n\nbody\n>From quoted\n\n"
    b"From c Tue Jan  2 00:00:00 +0100 2024\nX-UID: 5\n\nbody\n\n",
    b"From a Mon Jan  1 00:00:00 2024\nX-IMAPbase: 1700000000 0000000009 k\nX-UID: 3\n\nx\n\n"
    b"From a Mon Jan  1 00:00:00 2024\nX-UID: 2\n\nx\n\n"
    b"From a Mon Jan  1 00:00:00 2024\nX-UID: 8\nX-Keywords: a b  \n\n",
    b"From x\n\n\nFrom  Mon Jan 1 0:0 2024\n",
    _BAR + b"Subject: one\n\nx\n" + _BAR + _BAR + b"Subject: two\nStatus: R\n\ny\n" + _BAR,
    b"From MAILER-DAEMON Mon Jan  1 00:00:00 2024\nSubject: FOLDER INTERNAL DATA\n"
    b"X-IMAP: 0000000700 0000000010\n\nx\n\n",
]


@contextlib.contextmanager
def _served(data: bytes) -> Iterator[tuple[SpoolFolder, str]]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as place:
        shape = MmdfFile() if data.startswith(_BAR) else MboxFile()
        with open(f"{place}/box", "wb") as file:
            file.write(data + shape.mend(data[-1024:]))  # a message that was cut off reads otherwise when it is mended
        means = Means(PosixFileSystem(), "host", time.time, lambda: 1234, LockPolicy(order=()))
        yield SpoolFolder(means, f"{place}/box", place, shape, writable=True, optional=True), f"{place}/box"


def _contents(folder: SpoolFolder) -> dict[int, tuple[bytes, frozenset[str]]]:
    found = folder.look({}).messages
    uids = [each.uid for each in found]
    assert uids == sorted(set(uids))
    return {each.uid: (folder.read(each.key), each.flags) for each in found}


def target(data: bytes) -> None:
    """Serve it."""
    with _served(data) as (folder, path):
        before = _contents(folder)
        marked = {uid: frozenset(("\\Seen", "$Junk")) for uid in list(before)[::2]}
        folder.mark([(str(uid), flags) for uid, flags in marked.items()])
        gone = list(before)[1::3]
        folder.remove([str(uid) for uid in gone])
        (new,) = folder.append([New(b"Subject: new\r\n\r\nFrom me\r\n", frozenset(("\\Flagged",)), 1000, "u")])
        wanted = {uid: (text, marked.get(uid, flags)) for uid, (text, flags) in before.items() if uid not in gone}
        wanted[new.uid] = (b"Subject: new\r\n\r\nFrom me\r\n", frozenset(("\\Flagged",)))
        assert _contents(folder) == wanted
        os.utime(path, (1, 1))
        again = _contents(folder)
        assert again == wanted
        assert not os.path.exists(f"{os.path.dirname(path)}/recovery")
