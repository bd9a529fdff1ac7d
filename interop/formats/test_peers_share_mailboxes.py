"""Mailboxes that Penfold serves, and that Dovecot and mutt change at the same time: UIDs, flags and mail stay right."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop.formats.peers import NOBODY, dovecot, on_terminal, program, run, yard
from tests.files_stores import DRIVERS, FilesHouse
from tests.stores import ADA

pytestmark = pytest.mark.peer


@pytest.fixture
def place() -> Iterator[Path]:
    with yard() as path:
        yield path


class Shared:
    """A house of ours whose files go to the peers' user for as long as a peer runs."""

    def __init__(self, kind: str, place: Path):
        self.kind = kind
        self.place = place
        self.house = FilesHouse.build(DRIVERS[kind], place)
        self.inbox = place / ADA if kind == "maildir" else place / f"{ADA}.spool"

    def dovecot(self, *words: str) -> str:
        root = self.place / ADA
        location = f"maildir:{root}" if self.kind == "maildir" else f"mbox:{root}:INBOX={self.inbox}"
        self._give(NOBODY)
        try:
            return run(self.place, [program("doveadm"), *dovecot(self.place, location), *words]).decode()
        finally:
            self._give(os.geteuid())

    def mutt(self, keys: str) -> bytes:
        self._give(NOBODY)
        options = "set quit=yes delete=yes mark_old=no move=no"
        command = [
            program("mutt"),
            "-n",
            "-F",
            "/dev/null",
            "-f",
            str(self.inbox),
            "-e",
            options,
            "-e",
            f"push '{keys}'",
        ]
        try:
            return on_terminal(self.place, command)
        finally:
            self._give(os.geteuid())

    def _give(self, uid: int) -> None:
        if os.geteuid() == 0:
            for each in (self.place, *self.place.rglob("*")):
                os.chown(each, uid, -1, follow_symlinks=False)

    def known_to_dovecot(self) -> dict[int, set[str]]:
        """What Dovecot knows: flags by UID."""
        text = self.dovecot("fetch", "uid flags", "mailbox", "INBOX")
        found = re.findall(r"uid: (\d+)\nflags: ([^\n]*)", text)
        return {int(uid): set(flags.split()) - {"\\Recent"} for uid, flags in found}

    def known(self) -> dict[int, set[str]]:
        """What we know."""
        return dict(zip(self.house.uids(), self.house.flags(), strict=True))


@pytest.fixture(params=["maildir", "mbox"])
def shared(request: pytest.FixtureRequest, place: Path) -> Iterator[Shared]:
    program("doveadm")
    found = Shared(request.param, place)
    for number in (1, 2, 3):
        found.house.append(b"Subject: message %d\r\nFrom: ada@example.test\r\n\r\nbody %d\r\n" % (number, number))
    yield found
    found.house.close()


def test_dovecot_sees_our_uids_flags_and_keywords(shared: Shared):
    shared.house.flag([1, 3], "+", "\\Seen", "$Junk")
    shared.house.flag([2], "+", "\\Flagged", "\\Answered")
    shared.house.expunge(1)
    assert shared.known_to_dovecot() == {2: {"\\Flagged", "\\Answered"}, 3: {"\\Seen", "$Junk"}}
    validity = shared.dovecot("mailbox", "status", "uidvalidity uidnext", "INBOX")
    counts = shared.house.counts()
    assert f"uidvalidity={counts.uidvalidity}" in validity
    assert f"uidnext={counts.uidnext}" in validity


def test_we_see_what_dovecot_does(shared: Shared):
    validity = shared.house.counts().uidvalidity
    shared.dovecot("flags", "add", "\\Seen $Later", "mailbox", "INBOX", "uid", "2")
    shared.dovecot("expunge", "mailbox", "INBOX", "uid", "1")
    mail = shared.place / "mail"
    mail.write_bytes(b"Subject: saved\n\nby Dovecot\n")
    shared.dovecot("save", "-m", "INBOX", str(mail))
    assert shared.known() == {2: {"\\Seen", "$Later"}, 3: set(), 4: set()}
    assert shared.house.contents()[2] == b"Subject: saved\r\n\r\nby Dovecot\r\n"
    assert shared.house.append(b"Subject: more\r\n\r\nx\r\n") == [5]
    assert sorted(shared.known_to_dovecot()) == [2, 3, 4, 5]
    assert shared.house.counts().uidvalidity == validity


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_uids_stay_when_mutt_deletes_and_flags(place: Path, kind: str):
    program("mutt")
    shared = Shared(kind, place)
    for number in (1, 2, 3):
        shared.house.append(b"Subject: message %d\r\nFrom: ada@example.test\r\n\r\nbody %d\r\n" % (number, number))
    painted = shared.mutt(
        "<tag-pattern>~s.1<enter><tag-prefix><delete-message><untag-pattern>~A<enter>"
        "<tag-pattern>~s.3<enter><tag-prefix><flag-message><sync-mailbox><exit>"
    )
    known = shared.known()
    assert list(known) == [2, 3], painted
    assert "\\Flagged" in known[3]
    assert [each[9:18] for each in shared.house.contents()] == [b"message 2", b"message 3"]
    shared.house.close()
