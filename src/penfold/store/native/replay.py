"""Opening a store, after a clean end or any crash: what the logs say is done again, then made durable.

Blocking, before anything else is done. Every step may be cut short and begun again.

Trust: the store is ours, but a crash may leave anything in it: records count where their checksums do.
Durability: logs go only after the files are synced and a checkpoint says so.
"""

from collections.abc import Callable

import msgspec

from penfold.fs.base import FileSystem
from penfold.store.native.files import Files
from penfold.store.native.group import carry_out_again
from penfold.store.native.layout import log_name, remove
from penfold.store.native.log import Checkpoint, LogReader, logs, read_checkpoint, write_checkpoint


class Replay:
    """One opening, or the healing of a store after a disk failed."""

    def __init__(self, fs: FileSystem, root: str, writer: str, *, report: Callable[[str], None]) -> None:
        self._fs = fs
        self._root = root
        self._folder = f"{root}/log/{writer}"
        self._report = report
        self._uidvalidity = 0

    def run(self) -> Checkpoint:
        """Do again what the logs say and cut them; gives the checkpoint. Raises OSError."""
        checkpoint = read_checkpoint(self._fs, self._folder)
        numbers = logs(self._fs, self._folder)
        self._uidvalidity = checkpoint.uidvalidity
        if not numbers:
            return checkpoint
        files = Files(self._fs, self._root)
        try:
            self._again([number for number in numbers if number >= checkpoint.first], files)
        finally:
            files.close()
        done = Checkpoint(max(numbers[-1] + 1, checkpoint.first), self._uidvalidity)
        cut(self._fs, self._root, self._folder, done)
        return done

    def _again(self, numbers: list[int], files: Files) -> None:
        readers = [LogReader(self._fs, self._folder, number) for number in numbers]
        limits = {each.head.before: each.head.before_lsn for each in readers if each.head and each.head.before}
        try:
            for reader in readers:
                for record in reader.groups(limits.get(reader.number)):
                    self._uidvalidity = max(self._uidvalidity, carry_out_again(record.payload, files))
                if reader.damaged:
                    self._keep_copy(reader)
        except msgspec.MsgspecError as error:
            raise OSError(f"a record of the log cannot be read: {error}") from error
        finally:
            for reader in readers:
                reader.close()

    def _keep_copy(self, reader: LogReader) -> None:
        name = f"log-{log_name(reader.number)}"
        self._report(f"a log of the store is damaged; its good records are used, a copy is in damaged/{name}")
        try:
            file = self._fs.create(f"{self._root}/damaged/{name}")
        except FileExistsError:
            return
        file.append([reader.octets()])
        file.datasync()
        file.close()


def cut(fs: FileSystem, root: str, folder: str, checkpoint: Checkpoint) -> None:
    """Make all files durable, say so, and let the logs go that are not needed any more. Raises OSError."""
    if read_checkpoint(fs, folder).first > checkpoint.first:
        return  # overtaken by the healing of a failure
    fs.sync_all(root)
    write_checkpoint(fs, folder, checkpoint)
    for number in logs(fs, folder):
        if number < checkpoint.first:
            remove(fs, f"{folder}/{log_name(number)}")
