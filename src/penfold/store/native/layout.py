"""The names of the store's tree, and its VERSION.

No path is made from what a client or a sender wrote: accounts bear random ids, mailboxes too.

Durability: VERSION is written last when a tree is made, so a tree with a VERSION is whole.
"""

import re
from typing import Final
from zlib import crc32

from penfold.fs.base import FileSystem
from penfold.model import ConfigError

VERSION: Final = 1
# SECURITY: who reads accounts for users is another user, of the same group; logs are for the writer alone.
FILE_MODE: Final = 0o640
FOLDER_MODE: Final = 0o750
_WORDS: Final = "penfold store "
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_LOG: Final = re.compile(r"([0-9]{10})\.log\Z")


def good_account(account: str) -> bool:
    """Tell whether an id can name a directory."""
    return bool(_ACCOUNT.match(account))


def account_folder(account: str) -> str:
    """Name the directory of an account, relative to the store: one of 256 holds it."""
    return f"{crc32(account.encode()) & 0xFF:02x}/{account}"


def log_name(number: int) -> str:
    """Name a log in the directory of its writer."""
    return f"{number:010d}.log"


def log_number(name: str) -> int | None:
    """Read the number back; None for a stranger."""
    found = _LOG.match(name)
    return int(found[1]) if found else None


def prepare(fs: FileSystem, root: str, writer: str) -> None:
    """Make the tree, or check the one that is there.

    Raises ConfigError when a newer Penfold wrote it, or when ``root`` holds something else.
    """
    version = read_version(fs, root)
    if version is None:
        _make(fs, root)
    _make_directories(fs, root, (f"log/{writer}",))


def read_version(fs: FileSystem, root: str) -> int | None:
    """Tell the format of the tree, None where there is none yet. Raises ConfigError."""
    try:
        text = fs.read(f"{root}/VERSION").decode(errors="replace")
    except FileNotFoundError:
        return None
    if not text:
        return None  # CRASH: made, and not yet written; the tree is still empty
    words, _, number = text.strip().rpartition(" ")
    if words + " " != _WORDS or not number.isdecimal():
        raise ConfigError("not a store of Penfold", file=f"{root}/VERSION", hint="give the store an empty directory")
    if int(number) > VERSION:
        raise ConfigError(
            f"this store has format {number}; this Penfold knows formats up to {VERSION}",
            file=f"{root}/VERSION",
            hint="start the Penfold that wrote it, or a newer one",
        )
    return int(number)


def _make(fs: FileSystem, root: str) -> None:
    parent = root.rpartition("/")[0]
    make_directory(fs, root)
    fs.sync_directory(parent or ("/" if root.startswith("/") else "."))
    _make_directories(fs, root, ("log", "damaged"))
    replace(fs, f"{root}/VERSION", f"{_WORDS}{VERSION}\n".encode())


def _make_directories(fs: FileSystem, root: str, names: tuple[str, ...]) -> None:
    for name in names:
        if make_directory(fs, f"{root}/{name}", 0o700):
            fs.sync_directory(f"{root}/{name}".rpartition("/")[0])


def make_directory(fs: FileSystem, path: str, mode: int = FOLDER_MODE) -> bool:
    """Make a directory; tells whether it was missing."""
    try:
        fs.mkdir(path, mode)
    except FileExistsError:
        return False
    return True


def replace(fs: FileSystem, path: str, octets: bytes) -> None:
    """Put a small file in place of another, durably, whole or not at all."""
    remove(fs, f"{path}.new")
    file = fs.create(f"{path}.new", FILE_MODE)
    try:
        file.append([octets])
        file.datasync()
    finally:
        file.close()
    fs.rename(f"{path}.new", path)
    fs.sync_directory(path.rpartition("/")[0])


def remove(fs: FileSystem, path: str) -> bool:
    """Unlink if it is there; tells whether it was."""
    try:
        fs.unlink(path)
    except FileNotFoundError:
        return False
    return True
