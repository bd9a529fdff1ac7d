"""What a disk may hold after the power went: states made from a recording file system's log.

The model allows more than ext4, xfs and btrfs with default options would:

- Since a file's last sync each write is kept, dropped, or torn into 512-octet sectors of which any are kept, in any
  order; lengths may be kept without the octets, which then are zeros or garbage; a truncation is kept or dropped.
- A sync that fails loses what it should have written, although reading goes on to show it.
- Since a directory's last sync any of its changes of names are kept, as long as the changes of one name happen in
  order. A rename is kept or dropped whole. A file's sync says nothing about its name.

``Disk.step`` follows the log; ``Disk.states`` gives the states possible at that moment: a few simple ones always, and
as many sampled ones as asked for, from a seeded source, so that a failure can be repeated.
"""

from collections.abc import Callable, Iterator
from random import Random

from penfold.fs.recording import Ack, Image, Lost, Made, Names, Operation, Sync, SyncAll, SyncNames, Truncate, Write

SECTOR = 512

Pending = Write | Truncate
Content = Callable[[bytes, list[Pending]], bytes]


class Disk:
    """The durable layer, and what is on its way there."""

    def __init__(self, image: Image) -> None:
        self._files = dict(image.files)
        self._directories = {inode: dict(names) for inode, names in image.directories.items()}
        self._pending: dict[int, list[Pending]] = {}
        self._moves: list[Names] = []

    def step(self, operation: Operation) -> None:
        """Follow one operation."""
        match operation:
            case Write() | Truncate():
                self._pending.setdefault(operation.file, []).append(operation)
            case Names():
                self._moves.append(operation)
            case Sync():
                self._sync_file(operation.file)
            case Lost():
                self._pending.pop(operation.file, None)
            case SyncNames():
                self._sync_names(operation.directory)
            case SyncAll():
                for inode in list(self._pending):
                    self._sync_file(inode)
                self._moves = self._apply(self._directories, self._moves, _every)
            case Made():
                self._directories[operation.directory] = {}
            case Ack():
                pass

    def _sync_file(self, inode: int) -> None:
        pending = self._pending.pop(inode, [])
        self._files[inode] = kept(self._files.get(inode, b""), pending)

    def _sync_names(self, directory: int) -> None:
        self._moves = self._apply(
            self._directories, self._moves, lambda move: any(place == directory for place, _, _ in move.changes)
        )

    def _apply(
        self, directories: dict[int, dict[str, int]], moves: list[Names], chosen: Callable[[Names], bool]
    ) -> list[Names]:
        left = []
        for move in moves:
            if not chosen(move):
                left.append(move)
                continue
            for directory, name, inode in move.changes:
                if inode is None:
                    directories.setdefault(directory, {}).pop(name, None)
                else:
                    directories.setdefault(directory, {})[name] = inode
        return left

    @property
    def quiet(self) -> bool:
        """Whether everything is durable: then there is but one state."""
        return not self._pending and not self._moves

    def states(self, random: Random, count: int) -> Iterator[Image]:
        """Give the simple states, then ``count`` sampled ones; repetitions are possible."""
        simple: list[Content] = [kept, dropped]
        if self._pending:
            simple.append(zeroed)
        for content in simple:
            yield self._image(content, _every)
            yield self._image(content, _none)
        if not self.quiet:
            for _ in range(count):
                yield self._sample(random)

    def _sample(self, random: Random) -> Image:
        share = random.choice((0.2, 0.5, 0.9))
        return self._image(torn(random), subset(random, share) if random.random() < 0.7 else _every)

    def _image(self, content: Content, chosen: Callable[[Names], bool]) -> Image:
        files = dict(self._files)
        for inode, pending in self._pending.items():
            files[inode] = content(files.get(inode, b""), pending)
        directories = {inode: dict(names) for inode, names in self._directories.items()}
        self._apply(directories, self._moves, chosen)
        return reachable(files, directories)


def _every(_move: Names) -> bool:
    return True


def _none(_move: Names) -> bool:
    return False


def reachable(files: dict[int, bytes], directories: dict[int, dict[str, int]]) -> Image:
    """Leave out what has no name. What is no directory is a file."""
    found = Image({}, {})
    pending = [1]
    while pending:
        inode = pending.pop()
        names = directories.get(inode)
        if names is None:
            found.files[inode] = files.get(inode, b"")
            continue
        found.directories[inode] = names
        pending += names.values()
    return found


def kept(old: bytes, pending: list[Pending]) -> bytes:
    """All of it reached the disk."""
    content = bytearray(old)
    for change in pending:
        _put(content, change)
    return bytes(content)


def dropped(old: bytes, _pending: list[Pending]) -> bytes:
    """None of it did."""
    return old


def zeroed(old: bytes, pending: list[Pending]) -> bytes:
    """The length did, the octets did not."""
    size = len(kept(old, pending))
    return old[:size] + bytes(max(0, size - len(old)))


def torn(random: Random) -> Content:
    """Some of it did: sectors, lengths, garbage."""

    def content(old: bytes, pending: list[Pending]) -> bytes:
        way = random.random()
        if way < 0.2:
            return kept(old, pending)
        if way < 0.4:
            return dropped(old, pending)
        if way < 0.55:
            return kept(old, pending[: random.randrange(len(pending) + 1)])
        return _tear(random, old, pending)

    return content


def _tear(random: Random, old: bytes, pending: list[Pending]) -> bytes:
    share = random.choice((0.1, 0.5, 0.9))
    content = bytearray(old)
    filler = random.choice((0, 0, 0xA5))
    for change in pending:
        if isinstance(change, Truncate):
            if random.random() < share:
                _put(content, change)
        else:
            for sector in _sectors(change):
                if random.random() < share:
                    _put(content, sector, filler)
    full = len(kept(old, pending))
    if len(content) < full and random.random() < 0.5:
        content += bytes([filler]) * (full - len(content))
    return bytes(content)


def _sectors(change: Write) -> Iterator[Write]:
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min((start // SECTOR + 1) * SECTOR, end)
        yield Write(change.file, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _put(content: bytearray, change: Pending, filler: int = 0) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    if change.offset > len(content):
        content += bytes([filler]) * (change.offset - len(content))
    content[change.offset : change.offset + len(change.data)] = change.data


def subset(random: Random, share: float) -> Callable[[Names], bool]:
    """Choose changes of names so that those of one name are kept in order."""
    blocked: set[tuple[int, str]] = set()

    def chosen(move: Names) -> bool:
        places = {(directory, name) for directory, name, _ in move.changes}
        if not places & blocked and random.random() < share:
            return True
        blocked.update(places)
        return False

    return chosen


def fingerprint(image: Image) -> int:
    """Tell states apart, cheaply: octet strings remember their hash."""
    names = frozenset((inode, name, child) for inode, each in image.directories.items() for name, child in each.items())
    return hash((names, frozenset(image.files.items())))
