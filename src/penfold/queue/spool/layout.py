"""The names of the spool tree, and its VERSION.

Durability: VERSION is written last when a tree is made, so a tree with a VERSION is whole.
"""

import errno

from penfold.fs.base import FileSystem
from penfold.model import ConfigError
from penfold.model.ids import base32

VERSION = 1
DIRECTORIES = ("intake", "carry", "body", "damaged")
_WORDS = "penfold spool "
_PIECE = 1 << 20


def segment_name(number: int, *, carry: bool = False) -> str:
    """Name a segment, relative to the spool."""
    return f"{'carry' if carry else 'intake'}/{base32(number, 8)}.seg"


def body_name(number: int) -> str:
    """Name a body file, relative to the spool."""
    return f"body/{base32(number, 8)}"


def number_of(name: str) -> int | None:
    """Read the number back from the last part of a name; None for a stranger."""
    stem = name.removesuffix(".seg")
    try:
        number = int(stem.translate(_CROCKFORD), 32)
    except ValueError:
        return None
    return number if base32(number, 8) == stem else None


_CROCKFORD = str.maketrans("JKMNPQRSTVWXYZ", "IJKLMNOPQRSTUV", "ILOU")


def prepare(fs: FileSystem, root: str) -> None:
    """Make the tree, or check the one that is there.

    Raises ConfigError when a newer Penfold wrote it, or when ``root`` holds something else.
    """
    version = _version(fs, root)
    if version is None:
        _make(fs, root)
    elif version > VERSION:
        raise ConfigError(
            f"this spool has format {version}; this Penfold knows formats up to {VERSION}",
            file=f"{root}/VERSION",
            hint="start the Penfold that wrote it, or a newer one",
        )


def _version(fs: FileSystem, root: str) -> int | None:
    try:
        text = fs.read(f"{root}/VERSION").decode(errors="replace")
    except FileNotFoundError:
        return None
    if not text:
        return None  # CRASH: made, and not yet written; the tree is still empty
    words, _, number = text.strip().rpartition(" ")
    if words + " " != _WORDS or not number.isdecimal():
        raise ConfigError("not a spool of Penfold", file=f"{root}/VERSION", hint="give the spool an empty directory")
    return int(number)


def _make(fs: FileSystem, root: str) -> None:
    for name in ("", *(f"/{directory}" for directory in DIRECTORIES)):
        try:
            fs.mkdir(root + name)
        except FileExistsError:
            continue
    fs.sync_directory(root)
    parent = root.rpartition("/")[0]
    fs.sync_directory(parent or ("/" if root.startswith("/") else "."))
    new = f"{root}/VERSION.new"
    remove(fs, new)
    file = fs.create(new)
    file.append([f"{_WORDS}{VERSION}\n".encode()])
    file.datasync()
    file.close()
    fs.rename(new, f"{root}/VERSION")
    fs.sync_directory(root)


def remove(fs: FileSystem, path: str) -> bool:
    """Unlink if it is there; tells whether it was."""
    try:
        fs.unlink(path)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def rewrite(fs: FileSystem, path: str) -> None:
    """Write a file again, as it reads, and sync it; nothing if it is not there.

    CRASH: where a sync may have failed, the kernel holds pages it thinks clean, which the disk has not; this heals it.
    """
    try:
        file = fs.open(path, write=True)
    except FileNotFoundError:
        return
    try:
        for offset in range(0, file.size(), _PIECE):
            file.write_at(offset, file.read_at(offset, _PIECE))
        file.datasync()
    finally:
        file.close()
