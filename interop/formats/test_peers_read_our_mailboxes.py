"""What Penfold delivered, mutt, nmh, mailx and Dovecot read as it was sent."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop.formats.peers import dovecot, give_away, on_terminal, program, run, yard
from tests.mailbox_material import FORMATS, message

from penfold.fs.posix import PosixFileSystem

pytestmark = pytest.mark.peer

TEXT = b"Subject: two\r\nMessage-ID: <2@example.org>\r\n\r\nFrom here\r\n>From there\r\n.\r\nend\r\n"
PARTS = (b"message 1", b"message 3", b"two", b"\nbody 1\n", b"\nbody 3\n", b"\n.\nend\n")


@pytest.fixture
def place() -> Iterator[Path]:
    with yard() as path:
        yield path


def deliver(place: Path, kind: str, name: str = "") -> str:
    path = str(place / (name or kind))
    FORMATS[kind](PosixFileSystem(), path).deliver([message(1), message(2, TEXT), message(3)])
    give_away(place)
    return path


def from_lines(kind: str) -> bytes:
    """mutt, mailx and Dovecot do not unquote an mbox; from the other formats the lines come as they were sent."""
    return b"\n>From here\n>>From there\n" if kind == "mbox" else b"\nFrom here\n>From there\n"


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_mutt_reads_it(place: Path, kind: str):
    path = deliver(place, kind)
    keys = f"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat > {place}/out<enter><exit>"
    options = "set pipe_split=no wait_key=no quit=yes pipe_decode=no"
    painted = on_terminal(
        place, [program("mutt"), "-R", "-n", "-F", "/dev/null", "-f", path, "-e", options, "-e", f"push '{keys}'"]
    )
    out = (place / "out").read_bytes() if (place / "out").exists() else painted
    for part in (*PARTS, from_lines(kind)):
        assert part in out
    assert b"Msgs:3" in painted


@pytest.mark.parametrize("kind", ["mbox", "mmdf"])
def test_nmh_incorporates_it(place: Path, kind: str):
    path = deliver(place, kind)
    listing = run(place, [program("inc"), "-file", path, "-notruncate", f"+{kind}copy", "-width", "120"])
    assert [int(number) for number in re.findall(rb"(?m)^ *(\d+)", listing)] == [1, 2, 3]
    text = (place / "home" / "Mail" / f"{kind}copy" / "2").read_bytes()
    assert text.endswith(from_lines(kind) + b".\nend\n")


def test_nmh_scans_our_folder_and_knows_what_is_unseen(place: Path):
    deliver(place, "mh", "home/Mail/work")
    listing = run(place, [program("scan"), "+work", "-width", "120"])
    assert [int(number) for number in re.findall(rb"(?m)^ *(\d+)", listing)] == [1, 2, 3]
    assert run(place, [program("pick"), "+work", "unseen"]) == b"1\n2\n3\n"
    run(place, [program("mark"), "+work", "2", "-sequence", "unseen", "-delete"])
    box = FORMATS["mh"](PosixFileSystem(), str(place / "home" / "Mail" / "work"))
    assert [entry.flags for entry in box.scan()] == [frozenset(), frozenset({"\\Seen"}), frozenset()]


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_s_nail_reads_it(place: Path, kind: str):
    path = deliver(place, kind)
    out = run(place, [program("s-nail"), "-n", "-R", "-#", "-S", "crt=0", "-Y", "type *", "-f", path])
    for part in PARTS:
        assert part in out
    # It quotes the lines of a Maildir's message itself when it shows it.
    assert re.search(rb"\n>From here\n>+From there\n", out)


def test_bsd_mailx_reads_it(place: Path):
    path = deliver(place, "mbox")
    out = run(place, [program("bsd-mailx"), "-n", "-f", path], b"type *\nexit\n")
    assert b"3 messages 3 new" in out
    for part in (*PARTS, from_lines("mbox")):
        assert part in out


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_dovecot_reads_it(place: Path, kind: str):
    path = deliver(place, kind)
    doveadm = program("doveadm")
    location = f"mbox:{place}/home/dovecot:INBOX={path}" if kind == "mbox" else f"maildir:{path}"
    config = dovecot(place, location)
    out = run(place, [doveadm, *config, "fetch", "hdr.subject text", "mailbox", "INBOX"])
    for part in (*PARTS, from_lines(kind)):
        assert part in out
    assert out.count(b"hdr.subject: ") == 3


def test_mutt_sees_new_mail_in_our_mbox(place: Path):
    path = deliver(place, "mbox")
    # mutt -Z opens the first mailbox with new mail, or ends at once when there is none.
    mutt = [program("mutt"), "-n", "-F", "/dev/null", "-e", f"mailboxes {path}", "-e", "push '<exit>'", "-Z"]
    assert b"Msgs:3" in on_terminal(place, mutt)
    os.utime(path, (Path(path).stat().st_mtime + 5, Path(path).stat().st_mtime))
    assert b"Msgs:3" not in on_terminal(place, mutt)


@pytest.mark.parametrize("kind", ["mbox", "mmdf", "mh", "maildir"])
def test_we_read_what_mutt_wrote(place: Path, kind: str):
    source = deliver(place, "mbox", "source")
    target = place / f"copy-{kind}"
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{target}<enter>y<exit>"
    options = f"set mbox_type={'MMDF' if kind == 'mmdf' else kind} quit=yes confirmappend=no confirmcreate=no"
    on_terminal(place, [program("mutt"), "-n", "-F", "/dev/null", "-f", source, "-e", options, "-e", f"push '{keys}'"])
    box = FORMATS[kind](PosixFileSystem(), str(target))
    texts = [box.read(entry) for entry in box.scan()]
    assert len(texts) == 3
    assert sorted(re.findall(rb"Subject: (.*)\r\n", b"".join(texts))) == [b"message 1", b"message 3", b"two"]
