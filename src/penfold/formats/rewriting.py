"""Rewrites a mailbox that must stay the same file (others hold it open, or wait for its lock), never by half.

A rewrite is a list of places and octets, and a new length. First all of it is written into a recovery file, and synced;
then into the mailbox; then the recovery file goes. Whoever finds a recovery file when he has locked the mailbox
completes what it says, which is the same however much of it had been done.

CRASH: another program may have appended mail to a mailbox that was left in the middle. A file that grows gets its new
length by its very first write, of one octet, and one that shrinks is cut last: so it can be told where that mail
begins, and it is put behind what was to be written. A mailbox that is another file by now, or differs before the first
place, is left alone; the recovery file is set aside as ``NAME.bad``.

Durability: content is synced before the recovery file goes.
"""

import contextlib
import os
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from penfold.formats.replacing import content, replace
from penfold.fs.base import File, FileSystem

_LOOKED_AT: Final = 65536  # octets before the first place that must be what they were


class Patches(msgspec.Struct, array_like=True):
    """What is to be done: octets at places, the length before and after; how the file is known to be the same."""

    inode: int
    before: int
    after: int
    places: list[tuple[int, bytes]]
    above: bytes
    tail: bytes


def rewrite(
    fs: FileSystem, file: File, path: str, recovery: str, places: Sequence[tuple[int, bytes]], size: int
) -> None:
    """Write octets at places of the locked mailbox ``path``, open as ``file``, and give it a size. Raises OSError.

    What lies behind the old end must follow it without a gap. After an error nothing, or all of it, is done as soon
    as ``recover`` was called.
    """
    if not places and size == file.size():
        return
    patches = _patches(fs, file, path, list(places), size)
    _carry_out(fs, file, patches, recovery)


def _patches(fs: FileSystem, file: File, path: str, places: list[tuple[int, bytes]], size: int) -> Patches:
    before = file.size()
    first = min((place for place, _ in places), default=size)
    tail = _digest(file, size, before) if size < before else b""
    above = _digest(file, max(0, first - _LOOKED_AT), min(first, before))
    return Patches(fs.stat(path).inode, before, size, sorted(places), above, tail)


def _carry_out(fs: FileSystem, file: File, patches: Patches, recovery: str) -> None:
    octets = msgspec.msgpack.encode(patches)
    replace(fs, recovery, zlib.crc32(octets).to_bytes(4, "big") + octets)
    _write(file, patches)
    fs.unlink(recovery)
    with contextlib.suppress(OSError):
        fs.sync_directory(os.path.dirname(recovery))


def _write(file: File, patches: Patches) -> None:
    if patches.after > patches.before:
        _write_behind(file, patches)
        file.datasync()
    for place, octets in patches.places:
        inside = octets[: max(0, patches.before - place)]
        if inside:
            file.write_at(place, inside)
    file.datasync()
    if patches.after < patches.before:
        file.truncate(patches.after)
        file.datasync()


def _write_behind(file: File, patches: Patches) -> None:
    behind = _behind(patches)
    file.write_at(patches.after - 1, behind[-1:])
    for place, octets in patches.places:
        begin = max(0, patches.before - place)
        if begin < len(octets):
            file.write_at(place + begin, octets[begin:])


def recover(fs: FileSystem, file: File, path: str, recovery: str) -> bool:
    """Complete a rewrite that was left in the middle; tells whether there was one. Under the mailbox's lock."""
    text = content(fs, recovery)
    if text is None:
        return False
    patches = _decoded(text)
    if patches is None or not _same(fs, file, path, patches):
        fs.rename(recovery, f"{recovery}.bad")
        return False
    if patches.after < patches.before and _is_cut(file, patches):
        fs.unlink(recovery)
    else:
        _carry_out(fs, file, _with_mail(file, patches), recovery)
    return True


def _decoded(text: bytes) -> Patches | None:
    if zlib.crc32(text[4:]).to_bytes(4, "big") != text[:4]:
        return None
    try:
        return msgspec.msgpack.decode(text[4:], type=Patches)
    except msgspec.DecodeError:
        return None


def _same(fs: FileSystem, file: File, path: str, patches: Patches) -> bool:
    first = min((place for place, _ in patches.places), default=patches.after)
    above = _digest(file, max(0, first - _LOOKED_AT), min(first, patches.before))
    return fs.stat(path).inode == patches.inode and above == patches.above


def _is_cut(file: File, patches: Patches) -> bool:
    """Tell whether the last step of a rewrite that shortens was done; all the others were, then."""
    return file.size() < patches.before or _digest(file, patches.after, patches.before) != patches.tail


def _with_mail(file: File, patches: Patches) -> Patches:
    """Add what others appended meanwhile, to stand behind all of it."""
    size = file.size()
    mail = file.read_at(patches.before, max(0, size - patches.before))
    if patches.after >= patches.before:
        mail = b"" if _is_longer(mail, _behind(patches)) else mail
    if not mail:
        return patches
    after = patches.after + len(mail)
    return msgspec.structs.replace(
        patches,
        before=size,
        after=after,
        places=[*patches.places, (patches.after, mail)],
        tail=_digest(file, after, size) if after < size else b"",
    )


def _behind(patches: Patches) -> bytes:
    """Give what is to be written behind the old end."""
    return b"".join(octets[max(0, patches.before - place) :] for place, octets in patches.places)


def _is_longer(found: bytes, behind: bytes) -> bool:
    """Tell whether the file had its new length: what is there then was written by us, or nothing was."""
    if len(found) < len(behind):
        return False
    return all(octet in {0, wanted} for octet, wanted in zip(found, behind, strict=False))


def _digest(file: File, start: int, end: int) -> bytes:
    digest = blake2b(digest_size=16)
    while start < end and (piece := file.read_at(start, min(1 << 20, end - start))):
        digest.update(piece)
        start += len(piece)
    return digest.digest()
