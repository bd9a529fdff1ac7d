"""The stores that POP3 transcripts are played over."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

from conformance.pop3_house import USERS, account_of
from tests.stores import DRIVERS, Bodies, Clock, Given, Opened, nothing

from penfold.formats.detect import Format
from penfold.fs.posix import PosixFileSystem
from penfold.message.summary import summary
from penfold.store import AccountId
from penfold.store.files import FilesStore, Place


class Shelves:
    """Accounts whose mail lies in a directory, all in one form."""

    def __init__(self, root: Path, form: Format) -> None:
        self._root = root
        self._form = form

    def find(self, account: AccountId) -> Place:
        if self._form in {Format.MBOX, Format.MMDF}:
            return Place(self._form, f"{self._root}/{account}.folders", f"{self._root}/{account}")
        return Place(self._form, f"{self._root}/{account}")

    def accounts(self) -> list[AccountId]:
        return [account_of(user) for user in USERS]


async def _driver(name: str, path: Path) -> Opened:
    return await DRIVERS[name].open(Given(path, Clock(), Random(1).randbytes, summary, Bodies()))


async def _files(form: Format, path: Path) -> Opened:
    store = FilesStore(
        PosixFileSystem(),
        Shelves(path, form),
        f"{path}/cache",
        host="mx.example.test",
        clock=time.time,
        random=Random(1).randbytes,
        summarise=summary,
    )
    return Opened(store, store.close, nothing)


STORES: dict[str, Callable[[Path], Awaitable[Opened]]] = {
    "memory": partial(_driver, "memory"),
    "native": partial(_driver, "native"),
    "maildir": partial(_files, Format.MAILDIR),
    "mbox": partial(_files, Format.MBOX),
}
