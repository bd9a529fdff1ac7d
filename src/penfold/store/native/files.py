"""The files of accounts the writer has open just now: few, however many accounts there are."""

import errno
from collections import OrderedDict
from typing import Final

from penfold.fs.base import File, FileSystem
from penfold.store.native.layout import FILE_MODE, make_directory, remove

MOST: Final = 512


class Files:
    """Open files by path, relative to the store; those not used for longest are closed."""

    def __init__(self, fs: FileSystem, root: str, most: int = MOST) -> None:
        self.fs = fs
        self.root = root
        self._most = most
        self._open: OrderedDict[str, File] = OrderedDict()

    def get(self, path: str) -> File:
        """Give a file to write, made if it is missing, with its directory. Raises OSError."""
        file = self._open.get(path)
        if file is None:
            file = self._opened(f"{self.root}/{path}")
            self._keep(path, file)
        else:
            self._open.move_to_end(path)
        return file

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Read octets that are there. Raises OSError."""
        octets = self.get_there(path).read_at(offset, length)
        if len(octets) != length:
            raise OSError(errno.EIO, "the file is too short", path)
        return octets

    def get_there(self, path: str) -> File:
        """Give a file that exists. Raises OSError."""
        if path not in self._open:
            self._keep(path, self.fs.open(f"{self.root}/{path}", write=True))
        return self.get(path)

    def remove(self, path: str) -> None:
        """Unlink a file if it is there."""
        self._close(path)
        remove(self.fs, f"{self.root}/{path}")

    def drop(self, path: str) -> None:
        """Remove a directory if it is there and empty."""
        try:
            self.fs.rmdir(f"{self.root}/{path}")
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}:
                raise

    def trim(self, most: int) -> None:
        """Close all but those used last."""
        while len(self._open) > most:
            self._open.popitem(last=False)[1].close()

    def close(self) -> None:
        """Close all."""
        for path in list(self._open):
            self._close(path)

    def _keep(self, path: str, file: File) -> None:
        self._open[path] = file
        self.trim(self._most)

    def _close(self, path: str) -> None:
        file = self._open.pop(path, None)
        if file is not None:
            file.close()

    def _opened(self, path: str) -> File:
        try:
            return self.fs.open(path, write=True)
        except FileNotFoundError:
            pass
        try:
            return self.fs.create(path, FILE_MODE)
        except FileNotFoundError:
            folder = path.rpartition("/")[0]
            make_directory(self.fs, folder.rpartition("/")[0])
            make_directory(self.fs, folder)
            return self.fs.create(path, FILE_MODE)
