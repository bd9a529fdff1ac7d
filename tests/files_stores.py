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


DRIVERS = {"maildir": Driver(opener(Format.MAILDIR))}


class FilesHouse(House):
    """Speaks to mailboxes of files."""
