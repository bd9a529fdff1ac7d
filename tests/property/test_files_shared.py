"""Mailboxes of files, changed by us and by others in any order: a UID means one message for ever, nothing is lost."""

import itertools
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.files_stores import DRIVERS, FilesHouse
from tests.stores import ADA, Body

from penfold.formats import Maildir, Mbox, Mh, Mmdf
from penfold.formats import Message as Mail
from penfold.formats.sequences import Sequences
from penfold.fs.posix import PosixFileSystem
from penfold.store import ClaimRecent, Column
from penfold.store.flags import words

FS = PosixFileSystem()
FLAGS = ("\\Seen", "\\Flagged", "work", "$Junk")
OURS = ("append", "flag", "expunge", "claim", "restart")
THEIRS = ("deliver", "their flag", "their expunge")
STEPS = st.lists(st.tuples(st.sampled_from((*OURS, *THEIRS)), st.integers(0, 9)), max_size=14)


class Others:
    """Another program at the same mailbox."""

    def __init__(self, kind: str, place: Path):
        self.kind = kind
        self.path = {"maildir": place / ADA, "mh": place / ADA / "inbox"}.get(kind, place / f"{ADA}.spool")
        self.ticks = itertools.count(2_000_000_000)

    def moved_on(self) -> None:
        """Let time pass: two changes are never at the same moment."""
        parts = {"maildir": ("cur", "new")}.get(self.kind, ("",))
        for part in parts:
            tick = next(self.ticks)
            os.utime(self.path / part, (tick, tick))

    def deliver(self, content: bytes, number: int) -> None:
        box = {
            "maildir": lambda: Maildir(FS, str(self.path), host="other"),
            "mh": lambda: Mh(FS, str(self.path)),
            "mbox": lambda: Mbox(FS, str(self.path)),
            "mmdf": lambda: Mmdf(FS, str(self.path)),
        }[self.kind]()
        box.deliver([Mail(b"", Body(content), "a@example.test", 1000.0, f"X{number}R1")])

    def files(self) -> list[Path]:
        if self.kind == "maildir":
            return sorted((*(self.path / "cur").iterdir(), *(self.path / "new").iterdir()), key=lambda file: file.name)
        return sorted((file for file in self.path.iterdir() if file.name.isdecimal()), key=lambda file: int(file.name))

    def spans(self) -> list[tuple[int, int]]:
        box = Mbox(FS, str(self.path)) if self.kind == "mbox" else Mmdf(FS, str(self.path))
        starts = [entry.start for entry in box.scan()] if self.path.exists() else []
        if self.kind == "mmdf":
            starts = [start - 5 for start in starts]
        return list(zip(starts, (*starts[1:], self.path.stat().st_size), strict=True)) if starts else []

    def flag(self, number: int) -> None:
        if self.kind == "maildir" and (files := self.files()):
            file = files[number % len(files)]
            file.rename(self.path / "cur" / (file.name.partition(":")[0] + ":2,FR"))
        elif self.kind == "mh" and (files := self.files()):
            sequences = Sequences.parse((self.path / ".mh_sequences").read_bytes())
            sequences.replace("flagged", [int(files[number % len(files)].name)])
            (self.path / ".mh_sequences").write_bytes(sequences.octets())
        elif self.kind in {"mbox", "mmdf"} and self.path.exists():
            status = b"Status: ROO" if number % 2 else b"Status: R"
            self.path.write_bytes(re.sub(rb"(?m)^Status: \w*$", status, self.path.read_bytes()))

    def expunge(self, number: int) -> bytes | None:
        """Remove a message; gives its content."""
        if self.kind in {"maildir", "mh"}:
            files = self.files()
            if not files:
                return None
            file = files[number % len(files)]
            content = file.read_bytes()
            file.unlink()
            return subject(content)
        spans = self.spans()
        if not spans:
            return None
        start, end = spans[number % len(spans)]
        text = self.path.read_bytes()
        self.path.write_bytes(text[:start] + text[end:])
        return subject(text[start:end])


def subject(content: bytes) -> bytes:
    return re.search(rb"Subject: (\d+)", content)[1]


class Model:
    """What must be there."""

    def __init__(self, kind: str, place: Path):
        self.house = FilesHouse.build(DRIVERS[kind], place)
        self.others = Others(kind, place)
        self.there: set[bytes] = set()
        self.meant: dict[int, bytes] = {}
        self.validity = self.house.counts().uidvalidity
        self.view = self.house.open()
        self.numbers = itertools.count()
        self.known: dict[int, int] = {}
        self.modseq = self.view.counts().highestmodseq

    def content(self) -> tuple[int, bytes]:
        number = next(self.numbers)
        self.there.add(b"%d" % number)
        return number, b"Subject: %d\r\n\r\nFrom the sea\r\n" % number

    def step(self, what: str, number: int) -> None:
        house, uids = self.house, list(self.meant)
        chosen = [uids[number % len(uids)]] if uids else []
        match what:
            case "append":
                house.append(self.content()[1], flags=[FLAGS[number % 4]])
            case "flag" if chosen:
                house.flag(chosen, "+-="[number % 3], FLAGS[number % 4])
            case "expunge" if chosen:
                self.there -= {self.meant[uid] for uid in house.expunge(*chosen).uids}
            case "claim":
                house.do(ClaimRecent(ADA, house.inbox))
            case "restart":
                house.restart()
            case "deliver":
                number, content = self.content()
                self.others.deliver(content, number)
            case "their flag":
                self.others.flag(number)
            case "their expunge":
                self.there.discard(self.others.expunge(number))
        if what in THEIRS and self.others.path.exists():
            self.others.moved_on()

    def check(self) -> None:
        if self.house.open() is not self.view:  # after a restart
            self.view = self.house.open()
        view = self.view
        view.refresh()
        assert not view.gone
        assert view.uidvalidity == self.validity
        rows = view.rows(view.roll.uids)
        uids, flags = view.columns([Column.UID, Column.FLAGS], rows)
        contents = [bytes(view.body(row)) for row in rows]
        assert list(uids) == list(view.roll.uids)
        assert {subject(content) for content in contents} == self.there
        assert len(contents) == len(self.there)
        for uid, content in zip(uids, contents, strict=True):
            assert self.meant.setdefault(uid, subject(content)) == subject(content)
            assert content.endswith(b"\r\n\r\nFrom the sea\r\n")
        self.check_changes(dict(zip(uids, (words(each, view.keywords) for each in flags), strict=True)))

    def check_changes(self, now: dict) -> None:
        """Who knows the mailbox as it was, and hears what changed, knows it as it is."""
        changes = self.view.changes(self.modseq)
        uids, flags = self.view.columns([Column.UID, Column.FLAGS], changes.rows)
        self.known |= dict(zip(uids, (words(each, self.view.keywords) for each in flags), strict=True))
        self.known = {uid: each for uid, each in self.known.items() if uid not in changes.vanished}
        assert self.known == now
        self.modseq = self.view.counts().highestmodseq


@pytest.mark.parametrize("kind", sorted(DRIVERS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_uid_means_one_message_whoever_changes_the_mailbox(kind, steps):
    place = Path(tempfile.mkdtemp())
    model = Model(kind, place)
    try:
        for what, number in steps:
            model.step(what, number)
            model.check()
    finally:
        model.house.close()
        shutil.rmtree(place)
