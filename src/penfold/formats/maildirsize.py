"""Quota of a Maildir++: the ``maildirsize`` file, shared with Courier, Dovecot and other deliverers.

First line the quota (``10000000S,1000C``), then one line ``OCTETS MESSAGES`` for every change; the sum is the usage.
The file is derived: where it is missing, too long, damaged, made for another quota, or says "full" without being
fresh, it is counted again from the names (``,S=``) and sizes of all folders. Messages marked as deleted and those in
``.Trash`` do not count.

Standards: https://www.inter7.com/courierimap/README.maildirquota.html
Trust: the file is the mailbox owner's; what he writes there concerns his own quota alone.
Durability: none; it is counted again.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from penfold.formats.quota import Quota
from penfold.fs.base import FileSystem

__all__ = ["Quota", "QuotaCheck", "Usage", "add", "count", "parse", "read", "root_of"]

_LONGEST: Final = 5120
_FRESH: Final = 15 * 60
_LINE: Final = re.compile(rb"[ \t]*(-?\d{1,18})[ \t]+(-?\d{1,18})[ \t]*")
_SIZE: Final = re.compile(r",S=(\d{1,15})(?=[,:]|$)")
_TMP: Final = "tmp"
_TRASH: Final = ".Trash"


class Usage(NamedTuple):
    """What it holds: octets on disk, messages; ``exact`` when counted just now."""

    octets: int
    messages: int
    exact: bool = False


def root_of(maildir: str) -> str:
    """Find the Maildir++ that a folder belongs to: the quota is its root's."""
    directory, name = os.path.split(maildir.rstrip("/"))
    return directory if name.startswith(".") and name not in {".", ".."} and directory else maildir


class QuotaCheck:
    """The quotas of one batch: usage is read once a Maildir, and what the batch adds counts at once."""

    def __init__(self, fs: FileSystem, quotas: Mapping[str, Quota]) -> None:
        self._fs = fs
        self._quotas = quotas
        self._usage: dict[str, Usage] = {}

    def admit(self, maildir: str, octets: int) -> None:
        """Let one message of ``octets`` in, or raise Transient (452 4.2.2) or Permanent (552 5.2.2)."""
        quota = self._quotas.get(maildir)
        if quota is None:
            return
        root = root_of(maildir)
        usage = self._usage.get(root) or read(self._fs, root, quota, time.time())
        if not quota.admits(usage.octets, usage.messages, octets) and not usage.exact:
            usage = self._usage[root] = count(self._fs, root, quota)
        quota.check(usage.octets, usage.messages, octets)
        self._usage[root] = Usage(usage.octets + octets, usage.messages + 1, usage.exact)

    def record(self, maildir: str, octets: int) -> None:
        """Write a stored message of ``octets`` into maildirsize."""
        if maildir in self._quotas:
            add(self._fs, root_of(maildir), octets, 1)


def read(fs: FileSystem, root: str, quota: Quota, now: float) -> Usage:
    """Tell the usage from maildirsize, or count where it cannot be used. ``now`` in POSIX seconds."""
    path = f"{root}/maildirsize"
    try:
        facts = fs.stat(path)
        text = fs.read(path) if facts.size <= _LONGEST else b""
    except OSError:
        return count(fs, root, quota)
    usage = parse(text, quota)
    if usage is None:
        return count(fs, root, quota)
    # One line of a few minutes' age is a count; more lines may have missed something.
    return usage._replace(exact=usage.exact and now - facts.mtime < _FRESH)


def parse(text: bytes, quota: Quota) -> Usage | None:
    """Add up a maildirsize file; None when it is damaged or for another quota. ``exact`` when it has one line."""
    head, *lines = text.split(b"\n")
    if head.strip() != str(quota).encode() or not lines or lines[-1]:
        return None
    octets = messages = 0
    for line in lines[:-1]:
        match = _LINE.fullmatch(line)
        if not match:
            return None
        octets += int(match[1])
        messages += int(match[2])
    return Usage(octets, messages, exact=len(lines) == 2) if octets >= 0 and messages >= 0 else None


def count(fs: FileSystem, root: str, quota: Quota) -> Usage:
    """Count all folders and write maildirsize anew."""
    octets = messages = 0
    for directory in _directories(fs, root):
        for name in _listed(fs, directory):
            size = _size(fs, directory, name)
            octets += size or 0
            messages += size is not None
    _write(fs, root, f"{quota}\n{octets} {messages}\n".encode())
    return Usage(octets, messages, exact=True)


def add(fs: FileSystem, root: str, octets: int, messages: int) -> None:
    """Write a change (negative for removed mail); left out where there is no file."""
    with contextlib.suppress(OSError), contextlib.closing(fs.open(f"{root}/maildirsize", write=True)) as file:
        file.append([b"%d %d\n" % (octets, messages)])


def _directories(fs: FileSystem, root: str) -> Iterator[str]:
    folders = [name for name in _listed(fs, root) if name.startswith(".") and name != _TRASH]
    for maildir in (root, *(f"{root}/{name}" for name in folders)):
        yield f"{maildir}/new"
        yield f"{maildir}/cur"


def _listed(fs: FileSystem, directory: str) -> list[str]:
    try:
        return fs.names(directory)
    except OSError:
        return []


def _size(fs: FileSystem, directory: str, name: str) -> int | None:
    """Tell the octets of a message; None for what does not count."""
    if name.startswith(".") or "T" in name.partition(":2,")[2]:
        return None
    if match := _SIZE.search(name):
        return int(match[1])
    try:
        return fs.stat(f"{directory}/{name}").size
    except OSError:
        return None


def _write(fs: FileSystem, root: str, text: bytes) -> None:
    temporary = f"{root}/{_TMP}/maildirsize.{os.getpid()}.{time.monotonic_ns()}"
    with contextlib.suppress(OSError):
        with contextlib.closing(fs.create(temporary)) as file:
            file.append([text])
        fs.rename(temporary, f"{root}/maildirsize")
