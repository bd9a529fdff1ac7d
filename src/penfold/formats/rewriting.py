"""Rewrites a mailbox that must stay the same file (others hold it open, or wait for its lock), never by half.

A rewrite is a list of places and octets, and perhaps a new end. First all of it is written into a recovery file, and
synced; then into the mailbox; then the recovery file goes. Whoever finds a recovery file when he has locked the mailbox
completes what it says, which is the same however much of it had been done.

CRASH: another program may have appended mail to a mailbox that was left in the middle. A file that grows gets its new
length by its very first write, of one octet, and one that shrinks is cut last: so it can be told where that mail
begins, and it is put behind what was to be written. A mailbox that is another file by now, or differs before the first
place, is left alone; the recovery file is set aside as ``NAME.bad``.

PERF: nothing is held in memory but a piece: a mailbox of gigabytes is rewritten as a small one is. A recovery file is
the octets, one place after the other, then what says where they belong, its length, and a CRC of it all.

Durability: content is synced before the recovery file goes.
"""

import contextlib
import itertools
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from penfold.fs.base import File, FileSystem

_LOOKED_AT: Final = 65536  # octets before the first place that must be what they were
_PIECE: Final = 1 << 20
_FOOT: Final = struct.Struct("<II")


class Patches(msgspec.Struct, array_like=True):
    """What is to be done: places and lengths, in order, the file's length before and after; how it is known again."""

    inode: int
    before: int
    after: int
    places: list[tuple[int, int]]
    above: bytes
    tail: bytes


def rewrite(
    fs: FileSystem,
    file: File,
    path: str,
    recovery: str,
    places: Sequence[tuple[int, Iterable[bytes]]],
    *,
    cut: bool,
) -> None:
    """Write octets at places (ascending) of the locked mailbox ``path``, open as ``file``; raises OSError.

    With ``cut`` the mailbox ends where the last of them does. They may be read from the mailbox itself. After an error
    nothing is done, or all of it as soon as ``recover`` was called.
    """
    before, first = file.size(), min((place for place, _ in places), default=0)
    above = _digest(file, max(0, first - _LOOKED_AT), min(first, before))
    patches = Patches(fs.stat(path).inode, before, before, [], above, b"")
    _record(fs, file, recovery, patches, places, cut=cut)
    with contextlib.closing(fs.open(recovery)) as store:
        _carry_out(fs, file, store, patches, recovery)


def _record(
    fs: FileSystem,
    file: File,
    recovery: str,
    patches: Patches,
    places: Iterable[tuple[int, Iterable[bytes]]],
    *,
    cut: bool,
) -> None:
    """Write the recovery file, durably, and note in ``patches`` what is in it."""
    temporary = f"{recovery}.tmp"
    with contextlib.suppress(FileNotFoundError):
        fs.unlink(temporary)
    crc = 0
    with contextlib.closing(fs.create(temporary)) as store:
        for place, octets in places:
            length = 0
            for piece in octets:
                store.append([piece])
                crc = zlib.crc32(piece, crc)
                length += len(piece)
            patches.places.append((place, length))
        if cut:
            patches.after = sum(patches.places[-1])
        if patches.after < patches.before:
            patches.tail = _digest(file, patches.after, patches.before)
        said = msgspec.msgpack.encode(patches)
        store.append([said, _FOOT.pack(len(said), zlib.crc32(said, crc))])
        store.datasync()
    fs.rename(temporary, recovery)
    fs.sync_directory(os.path.dirname(recovery))


def _carry_out(fs: FileSystem, file: File, store: File, patches: Patches, recovery: str) -> None:
    if patches.after > patches.before:
        file.write_at(patches.after - 1, next(_between(store, patches, patches.after - 1, patches.after))[1])
        _copy(file, store, patches, patches.before, patches.after)
        file.datasync()
    _copy(file, store, patches, 0, patches.before)
    file.datasync()
    if patches.after < patches.before:
        file.truncate(patches.after)
        file.datasync()
    fs.unlink(recovery)
    with contextlib.suppress(OSError):
        fs.sync_directory(os.path.dirname(recovery))


def _copy(file: File, store: File, patches: Patches, low: int, high: int) -> None:
    for place, octets in _between(store, patches, low, high):
        file.write_at(place, octets)


def _between(store: File, patches: Patches, low: int, high: int) -> Iterator[tuple[int, bytes]]:
    """Give what is to be written between two places of the mailbox, piece by piece."""
    offset = 0
    for place, length in patches.places:
        start, end = max(place, low), min(place + length, high)
        while start < end:
            octets = store.read_at(offset + start - place, min(_PIECE, end - start))
            yield start, octets
            start += len(octets)
        offset += length


def recover(fs: FileSystem, file: File, path: str, recovery: str) -> bool:
    """Complete a rewrite that was left in the middle; tells whether there was one. Under the mailbox's lock."""
    try:
        store = fs.open(recovery)
    except FileNotFoundError:
        return False
    with contextlib.closing(store):
        patches = _read(store)
        if patches is None or not _same(fs, file, path, patches):
            fs.rename(recovery, f"{recovery}.bad")
            return False
        if patches.after < patches.before and _is_cut(file, patches):
            fs.unlink(recovery)
        elif mail := _mail(file, store, patches):
            _with_mail(fs, file, store, patches, mail, recovery)
        else:
            _carry_out(fs, file, store, patches, recovery)
    return True


def _read(store: File) -> Patches | None:
    """Read what a recovery file says; None if it is not whole."""
    size = store.size()
    foot = store.read_at(max(0, size - _FOOT.size), _FOOT.size)
    if len(foot) < _FOOT.size:
        return None
    length, wanted = _FOOT.unpack(foot)
    crc, place, end = 0, 0, size - _FOOT.size
    while place < end and (piece := store.read_at(place, min(_PIECE, end - place))):
        crc = zlib.crc32(piece, crc)
        place += len(piece)
    if crc != wanted or length > end:
        return None
    try:
        return msgspec.msgpack.decode(store.read_at(end - length, length), type=Patches)
    except msgspec.DecodeError:
        return None


def _same(fs: FileSystem, file: File, path: str, patches: Patches) -> bool:
    first = min((place for place, _ in patches.places), default=0)
    above = _digest(file, max(0, first - _LOOKED_AT), min(first, patches.before))
    return fs.stat(path).inode == patches.inode and above == patches.above


def _is_cut(file: File, patches: Patches) -> bool:
    """Tell whether the last step of a rewrite that shortens was done; all the others were, then."""
    return file.size() < patches.before or _digest(file, patches.after, patches.before) != patches.tail


def _mail(file: File, store: File, patches: Patches) -> bytes:
    """Give what others appended meanwhile, where it is not yet behind all that is to be written."""
    if patches.after > patches.before and _is_longer(file, store, patches):
        return b""
    return file.read_at(patches.before, max(0, file.size() - patches.before))


def _is_longer(file: File, store: File, patches: Patches) -> bool:
    """Tell whether the file had its new length: what is there then was written by us, or nothing was."""
    if file.size() < patches.after:
        return False
    for place, wanted in _between(store, patches, patches.before, patches.after):
        found = file.read_at(place, len(wanted))
        if found != wanted and not all(octet in {0, other} for octet, other in zip(found, wanted, strict=True)):
            return False
    return True


def _with_mail(fs: FileSystem, file: File, store: File, patches: Patches, mail: bytes, recovery: str) -> None:
    """Do it again, with mail of others to stand behind all of it."""
    more = msgspec.structs.replace(patches, before=file.size(), places=[])
    ends = itertools.accumulate(length for _, length in patches.places)
    old = [
        (place, _stored(store, end - length, end)) for (place, length), end in zip(patches.places, ends, strict=True)
    ]
    _record(fs, file, recovery, more, [*old, (patches.after, (mail,))], cut=True)
    with contextlib.closing(fs.open(recovery)) as again:
        _carry_out(fs, file, again, more, recovery)


def _stored(store: File, start: int, end: int) -> Iterator[bytes]:
    while start < end and (piece := store.read_at(start, min(_PIECE, end - start))):
        yield piece
        start += len(piece)


def _digest(file: File, start: int, end: int) -> bytes:
    digest = blake2b(digest_size=16)
    while start < end and (piece := file.read_at(start, min(1 << 20, end - start))):
        digest.update(piece)
        start += len(piece)
    return digest.digest()
