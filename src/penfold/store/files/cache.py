"""What is known of a mailbox beside what its files say: only to be quick, and to have MODSEQs that never go back.

``NAME.image`` is all columns at one moment, replaced as a whole and not synced. ``NAME.rendered`` are the renderings,
append only: length, CRC, octets. What does not check is not there, and is made anew.

Trust: our own files; the directory may be lost at any time.
Durability: none is needed. CRASH: an account whose ``state`` does not say that it was closed in peace begins at a
MODSEQ greater than any it can have given (the clock's milliseconds), and tells clients to look at everything anew.
"""

import contextlib
import struct
import zlib
from typing import Final, TypeVar

import msgspec

from penfold.formats.replacing import content, replace
from penfold.fs.base import File, FileSystem

_HEAD: Final = struct.Struct("<II")
_LARGEST: Final = 64 * 1024 * 1024
_GUESS: Final = 4096  # most renderings are read at once
VERSION: Final = 1

_T = TypeVar("_T", "Image", "Kept")


class Image(msgspec.Struct, array_like=True):
    """A mailbox as it was known; ``columns`` are octets of arrays by name. ``source`` is what it lay in.

    ``keywords`` are those to which the bits of its flags refer; ``gone`` UIDs and MODSEQs of what left, in order.
    """

    version: int
    rendering: int
    source: str
    uidvalidity: int
    uidnext: int
    modseq: int
    horizon: int
    recent_from: int
    keywords: tuple[str, ...]
    keys: list[str]
    uidl: dict[int, str]
    columns: dict[str, bytes]
    gone: tuple[bytes, bytes]


class Kept(msgspec.Struct, array_like=True):
    """What was delivered where, and the MODSEQ of an account; ``peace`` when nothing is newer than this."""

    version: int
    modseq: int
    peace: bool
    keywords: tuple[str, ...] = ()
    deliveries: list[tuple[str, int, str, int, int, int]] = msgspec.field(default_factory=list)
    threads: list[tuple[int, int]] = msgspec.field(default_factory=list)


class Cache:
    """The directory of one account's cache."""

    def __init__(self, fs: FileSystem, directory: str) -> None:
        self._fs = fs
        self.directory = directory

    def image(self, name: str) -> Image | None:
        """Read what was known of a mailbox; None if nothing that can be used."""
        return self._load(f"{name}.image", Image)

    def kept(self) -> Kept | None:
        """Read the state of the account."""
        return self._load("state", Kept)

    def save(self, name: str, value: Image | Kept, *, durable: bool = False) -> None:
        """Write one of them. A disk that is full costs speed, nothing else."""
        octets = msgspec.msgpack.encode(value)
        text = _HEAD.pack(len(octets), zlib.crc32(octets)) + octets
        with contextlib.suppress(OSError):
            replace(self._fs, f"{self.directory}/{name}", text, durable=durable)

    def rendered(self, name: str) -> "Rendered":
        """Open the renderings of a mailbox."""
        return Rendered(self._fs, f"{self.directory}/{name}.rendered")

    def forget(self, name: str) -> None:
        """Remove what is kept of a mailbox."""
        for kind in ("image", "rendered"):
            with contextlib.suppress(OSError):
                self._fs.unlink(f"{self.directory}/{name}.{kind}")

    def _load(self, name: str, kind: type[_T]) -> _T | None:
        text = None
        with contextlib.suppress(OSError):
            text = content(self._fs, f"{self.directory}/{name}")
        octets = _checked(text or b"", 0)
        if octets is None:
            return None
        try:
            found = msgspec.msgpack.decode(octets, type=kind)
        except msgspec.DecodeError:
            return None
        return found if found.version == VERSION else None


class Rendered:
    """Renderings by where they begin, from 1. The file is opened when it is needed, and closed with ``close``."""

    def __init__(self, fs: FileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._file: File | None = None

    def put(self, octets: bytes) -> int:
        """Keep octets; gives their place, 0 if they cannot be kept."""
        try:
            return self._opened().append([_HEAD.pack(len(octets), zlib.crc32(octets)), octets]) + 1
        except OSError:
            return 0

    def get(self, place: int) -> bytes | None:
        """Give octets, None if they are not there."""
        try:
            file = self._opened()
            head = file.read_at(place - 1, _GUESS)
            if len(head) >= _HEAD.size and (length := _HEAD.unpack_from(head)[0]) <= _LARGEST:
                more = length + _HEAD.size - len(head)
                return _checked(head + file.read_at(place - 1 + len(head), more) if more > 0 else head, 0)
        except OSError:
            pass
        return None

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file:
            self._file.close()
            self._file = None

    def clear(self) -> None:
        """Forget all."""
        self.close()
        with contextlib.suppress(OSError):
            self._fs.unlink(self._path)

    def _opened(self) -> File:
        if self._file is None:
            try:
                self._file = self._fs.open(self._path, write=True)
            except FileNotFoundError:
                self._file = self._fs.create(self._path)
        return self._file


def _checked(text: bytes, start: int) -> bytes | None:
    if len(text) < start + _HEAD.size:
        return None
    length, crc = _HEAD.unpack_from(text, start)
    octets = text[start + _HEAD.size : start + _HEAD.size + length]
    return octets if len(octets) == length and zlib.crc32(octets) == crc else None
