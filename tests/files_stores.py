"""The store of files as drivers for the suite of the stores."""

from dataclasses import dataclass

from tests.stores import ADA, BOB, Driver, Given, House, Opened, nothing

from penfold.formats.detect import Format
from penfold.fs.posix import PosixFileSystem
from penfold.store import AccountId
from penfold.store.files import FilesStore, Place


@dataclass
class Places:
    """Two accounts in one folder."""

    path: str
    format: Format

    def accounts(self):
        return [ADA, BOB]

    def find(self, account: AccountId):
        if account not in self.accounts():
            return None
        inbox = f"{self.path}/{account}.spool" if self.format in {Format.MBOX, Format.MMDF} else ""
        return Place(self.format, f"{self.path}/{account}", inbox)


def opener(kind: Format):
    async def open_files(given: Given) -> Opened:
        store = FilesStore(
            PosixFileSystem(),
            Places(str(given.path), kind),
            f"{given.path}/cache",
            host="mail.test",
            clock=given.clock,
            random=given.random,
            summarise=given.summarise,
            bodies=given.bodies,
        )
        return Opened(store, store.close, nothing)

    return open_files


DRIVERS = {str(kind): Driver(opener(kind)) for kind in Format}


class FilesHouse(House):
    """Speaks to mailboxes of files; in those that are one file a message without a line end at its end gets one."""

    ends_lines = False

    @classmethod
    def build(cls, driver, path, seed=1):
        house = super().build(driver, path, seed)
        house.ends_lines = driver in (DRIVERS["mbox"], DRIVERS["mmdf"])
        return house

    def contents(self, mailbox=None, account=ADA):
        found = super().contents(mailbox, account)
        return [Ended(each) for each in found] if self.ends_lines else found


class Ended(bytes):
    """Octets that are the same with and without a line end at their end."""

    def __eq__(self, other):
        return bytes(self).removesuffix(b"\r\n") == bytes(other).removesuffix(b"\r\n")

    __hash__ = bytes.__hash__
