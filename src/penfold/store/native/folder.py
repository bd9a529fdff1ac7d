"""An account as one process reads it: its slots mapped, its tree as of the last look, its other files by name.

Trust: the files are ours, but another process writes them at this moment: what does not check is read again.
"""

from collections.abc import Callable
from typing import Final, TypeVar
from zlib import crc32

from penfold.fs.base import FileSystem
from penfold.fs.mapped import Mapped, mapped
from penfold.store.change import AccountId, MailboxId, Quota
from penfold.store.native.image import BoxImage, Image, decode_image
from penfold.store.native.slots import SLOT, Head, Slot, Torn, read_head, read_slot

_TRIES: Final = 1000

T = TypeVar("T")


class Folder:
    """An account as one process reads it, shared by its views."""

    def __init__(self, fs: FileSystem, path: str, account: AccountId) -> None:
        self.fs = fs
        self.path = path
        self.account = account
        self.head = Head()
        self.image = Image((), (), (), Quota(), (), 0, (), b"", 1)
        self.boxes: dict[MailboxId, BoxImage] = {}
        self._slots = self._map("head")
        self._seen = b""

    def refresh(self) -> bytes:
        """Come up to what is published; gives slot 0 as it lies there. Raises Torn, OSError."""
        if not self._slots.live:
            self._slots = self._map("head")
        octets = bytes(self._slots.octets[:SLOT])
        if octets != self._seen:
            octets, head = self._steady(self._read_head)
            self._take(head)
            self._seen = octets
        return octets

    @property
    def purged(self) -> bool:
        """Whether the account is no more, or is another one now."""
        return self.head.deleted < 0

    def slot(self, place: int) -> Slot:
        """Read the slot of a mailbox. Raises Torn."""
        return self._steady(lambda: read_slot(self.octets(place)))

    def steady_slot(self, place: int) -> tuple[bytes, Slot]:
        """Read it, with its octets. Raises Torn."""

        def read() -> tuple[bytes, Slot]:
            octets = self.octets(place)
            return octets, read_slot(octets)

        return self._steady(read)

    def mapped(self, name: str) -> Mapped:
        """Map one of its files as it is now; nothing where there is none. Raises OSError."""
        try:
            return self._map(name)
        except FileNotFoundError:
            return Mapped(memoryview(b""), live=False)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Read a piece of one of its files; shorter where it ends. Raises OSError."""
        file = self.fs.open(f"{self.path}/{name}")
        try:
            return file.read_at(offset, length)
        finally:
            file.close()

    def _map(self, name: str) -> Mapped:
        file = self.fs.open(f"{self.path}/{name}")
        try:
            return mapped(file)
        finally:
            file.close()

    def octets(self, place: int) -> bytes:
        """Give a slot as it lies there."""
        end = (place + 1) * SLOT
        if len(self._slots.octets) < end:
            self._slots = self._map("head")
        return bytes(self._slots.octets[end - SLOT : end])

    def _read_head(self) -> tuple[bytes, Head]:
        octets = self.octets(0)
        return octets, read_head(octets)

    def _take(self, head: Head) -> None:
        if (head.trees, head.tree, head.image_crc) != (self.head.trees, self.head.tree, self.head.image_crc):
            octets = self.read(f"tree.{head.trees}", head.tree - head.image, head.image)
            if crc32(octets) != head.image_crc:
                raise Torn
            self.image = decode_image(octets)
            self.boxes = {box.id: box for box in self.image.boxes}
        self.head = head

    def _steady(self, read: Callable[[], T]) -> T:
        """Read what may just be being written."""
        for _ in range(_TRIES):
            try:
                return read()
            except Torn:
                if not self._slots.live:
                    break
        raise Torn
