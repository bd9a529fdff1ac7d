"""An SQLite VFS over a FileSystem, so that a database's writes and syncs are recorded like all others.

For the crash suites: production uses SQLite's own unix VFS. There is no shared memory and no locking between
connections, so a connection must set ``locking_mode=EXCLUSIVE`` before anything else and be the only one.

Durability: as the unix VFS does, the first sync of a new log also syncs its directory; the database's own name is the
business of whoever makes it.
"""

import errno
import posixpath

import apsw

from penfold.fs.base import File, FileSystem


def translated(error: OSError) -> apsw.Error:
    """Say an errno as SQLite would."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return apsw.FullError(str(error))
    return apsw.IOError(str(error))


class FileSystemVFS(apsw.VFS):
    """Registered under ``name``; ``fs`` is the file system it works on and may be exchanged between connections."""

    def __init__(self, name: str, fs: FileSystem) -> None:
        self.name = name
        self.fs = fs
        super().__init__(name, base="", exclude={"xSetSystemCall", "xGetSystemCall", "xNextSystemCall"})

    def xOpen(  # type: ignore[override]  # noqa: N802 - it behaves as a VFSFile, without one beneath
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> "FileSystemVFSFile":
        """Open or create a file."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            raise apsw.CantOpenError("temporary files stay in memory")
        try:
            file = self.fs.open(path, write=True)
            new = False
        except FileNotFoundError:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(path) from None
            file = self._create(path)
            new = True
        flags[1] = flags[0]
        return FileSystemVFSFile(self.fs, path, file, sync_name=new and not flags[0] & apsw.SQLITE_OPEN_MAIN_DB)

    def _create(self, path: str) -> File:
        try:
            return self.fs.create(path)
        except OSError as error:
            raise apsw.CantOpenError(str(error)) from error

    def xDelete(self, path: str, sync: bool) -> None:  # noqa: N802
        """Remove a file; ``sync`` asks for its name to be durably gone."""
        try:
            self.fs.unlink(path)
            if sync:
                self.fs.sync_directory(posixpath.dirname(path))
        except FileNotFoundError:
            gone: apsw.Error = apsw.IOError("no such file")
            gone.extendedresult = apsw.SQLITE_IOERR_DELETE_NOENT  # type: ignore[attr-defined]
            raise gone from None
        except OSError as error:
            raise translated(error) from error

    def xAccess(self, path: str, _flags: int) -> bool:  # noqa: N802
        """Whether it is there."""
        try:
            return self.fs.stat(path).size > 0
        except OSError:
            return False

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Paths here are whole already."""
        return name


class FileSystemVFSFile:
    """An open file, as SQLite calls it."""

    def __init__(self, fs: FileSystem, path: str, file: File, *, sync_name: bool) -> None:
        self._fs = fs
        self._path = path
        self._file = file
        self._sync_name = sync_name

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Read; shorter at the end."""
        return self._file.read_at(offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write."""
        try:
            self._file.write_at(offset, data)
        except OSError as error:
            raise translated(error) from error

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """Cut."""
        try:
            self._file.truncate(size)
        except OSError as error:
            raise translated(error) from error

    def xSync(self, _flags: int) -> None:  # noqa: N802
        """Make durable; a new log's name, too."""
        try:
            self._file.datasync()
            if self._sync_name:
                self._fs.sync_directory(posixpath.dirname(self._path))
                self._sync_name = False
        except OSError as error:
            raise translated(error) from error

    def xFileSize(self) -> int:  # noqa: N802
        """Tell the octets."""
        return self._file.size()

    def xLock(self, _level: int) -> None:  # noqa: N802
        """There is one connection."""

    def xUnlock(self, _level: int) -> None:  # noqa: N802
        """There is one connection."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """There is one connection."""
        return False

    def xFileControl(self, _op: int, _pointer: int) -> bool:  # noqa: N802
        """Nothing special is known."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """Sectors as the power model tears them, and as the unix VFS says."""
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """As the unix VFS says by default."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:  # noqa: N802
        """Close."""
        self._file.close()
