from pathlib import Path

import pytest
from tests.mailbox_material import contents, message, wire

from penfold.formats import Mbox
from penfold.formats.mbox import from_line, parse_from_line
from penfold.fs.posix import PosixFileSystem

FS = PosixFileSystem()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box"


def read(path: Path, octets: bytes, *, content_lengths: bool = False) -> list[bytes]:
    path.write_bytes(octets)
    return contents(Mbox(FS, str(path), content_lengths=content_lengths))


def test_the_octets_on_disk_are_mboxrd(path: Path):
    """RFC 4155 appendix A."""
    Mbox(FS, str(path)).deliver([message(1, b"A: b\r\n\r\nFrom x\r\n>From y\r\n")])
    assert path.read_bytes() == (
        b"From ann@example.org Tue Nov 14 22:13:21 2023\n"
        b"Return-Path: <ann@example.org>\nDelivered-To: bob@example.test\n"
        b"A: b\n\n>From x\n>>From y\n\n"
    )


def test_a_message_without_a_last_newline_gets_one(path: Path):
    Mbox(FS, str(path)).deliver([message(1, b"A: b\r\n\r\nend"), message(2)])
    assert path.read_bytes().count(b"\n\nFrom ") == 1
    assert contents(Mbox(FS, str(path))) == [wire(message(1, b"A: b\r\n\r\nend\r\n")), wire(message(2))]


@pytest.mark.parametrize("tail", [b"From x", b"From x\n", b"From x Mon Jan  1 00:00:00 2024\nA: b\n\nhal", b"x\n\n"])
def test_half_a_message_left_by_a_crash_is_closed_by_the_next_one(path: Path, tail: bytes):
    path.write_bytes(tail)
    path.chmod(0o600)
    Mbox(FS, str(path)).deliver([message(1)])
    assert b"\n\nFrom ann@" in path.read_bytes()
    assert contents(Mbox(FS, str(path)))[-1] == wire(message(1))


@pytest.mark.parametrize(
    ("sender", "written"),
    [
        ("ann@example.org", b"From ann@example.org "),
        ("", b"From MAILER-DAEMON "),
        ('"a b"@x', b'From "a-b"@x '),
        ("a\nFrom b@x", b"From a-From-b@x "),
        ("jürgen@x", "From jürgen@x ".encode()),
        ("a\udcff@x", b"From a\xff@x "),
        ("a" * 5000, b"From " + b"a" * 320 + b" "),
    ],
)
def test_any_reverse_path_makes_one_from_line(sender: str, written: bytes):
    line = from_line(sender, 0.0)
    assert line == written + b"Thu Jan  1 00:00:00 1970\n"


@pytest.mark.parametrize(
    "line",
    [
        b"From ann@x Tue Nov 14 22:13:21 2023",
        b"From ann@x  Tue Nov 14 22:13:21 2023",
        b"From ann@x Tue Nov 14 22:13:21 UTC 2023",
        b"From ann@x Tue Nov 14 22:13:21 +0100 2023",
        b"From ann@x Tue, 14 Nov 22:13:21 2023",
    ],
)
def test_from_lines_of_many_writers_are_understood(line: bytes):
    """RFC 4155 appendix A."""
    assert parse_from_line(line) == ("ann@x", 1_700_000_001.0)


def test_a_from_line_without_seconds_or_sender_is_understood():
    assert parse_from_line(b"From Tue Nov 14 22:13 2023") == ("", 1_699_999_980.0)


@pytest.mark.parametrize(
    "line",
    [
        b"From here on",
        b"From ann@x",
        b"From x Tue Xyz 14 22:13:21 2023",
        b"From x Tue Nov 99 22:13:21 2023",
        b"From x Tue Nov 14 99:13:21 2023",
        b"From x Tue Nov 14 22:13:21 0000",
        b"From x " + b"Mon " * 400,
    ],
)
def test_what_has_no_date_is_no_from_line(line: bytes):
    assert parse_from_line(line) is None


def test_an_mboxo_file_without_blank_lines_is_read(path: Path):
    date = b"Mon Jan  1 00:00:00 2024\n"
    found = read(path, b"From a " + date + b"A: 1\n\nx\nFrom b " + date + b"A: 2\n\n>From y\nFrom no separator\n")
    assert found == [b"A: 1\r\n\r\nx\r\n", b"A: 2\r\n\r\nFrom y\r\nFrom no separator\r\n"]


def test_a_file_with_crlf_inside_comes_out_as_wire_form(path: Path):
    assert read(path, b"From a Mon Jan  1 00:00:00 2024\nA: 1\r\n\r\nx\r\n\n") == [b"A: 1\r\n\r\nx\r\n"]


def test_a_content_length_is_believed_only_on_request(path: Path):
    hidden = b"x\n\nFrom c Mon Jan  1 00:00:00 2024\nA: 2\n\ny\n"
    octets = b"From b Mon Jan  1 00:00:00 2024\nContent-Length: %d\n\n%s\n" % (len(hidden), hidden)
    octets += b"From d Mon Jan  1 00:00:00 2024\nA: 3\n\n\n"
    assert len(read(path, octets)) == 3
    zero, one, two = read(path, b"From z Mon Jan  1 00:00:00 2024\n\n\n" + octets, content_lengths=True)
    assert zero == b"\r\n"
    assert one.endswith(b"A: 2\r\n\r\ny\r\n")
    assert two == b"A: 3\r\n\r\n"
    assert len(read(path, octets, content_lengths=True)) == 2


@pytest.mark.parametrize("length", [b"0", b"1", b"999", b"999999999999999"])
def test_a_content_length_that_leads_nowhere_is_passed_over(path: Path, length: bytes):
    octets = b"From b Mon Jan  1 00:00:00 2024\nContent-Length: %s\n\nabc\n\n" % length
    octets += b"From d Mon Jan  1 00:00:00 2024\nA: 3\n\n"
    assert len(read(path, octets, content_lengths=True)) == 2


def test_scan_tells_sender_time_and_flags(path: Path):
    path.write_bytes(
        b"From ann@x Tue Nov 14 22:13:21 2023\nStatus: RO\nX-Status: AF\nX-Keywords: $Junk x\n\nbody\n\n"
        b"From MAILER-DAEMON Tue Nov 14 22:13:21 2023\nSubject: s\n\nStatus: R\n\n"
    )
    one, two = Mbox(FS, str(path)).scan()
    assert (one.sender, one.arrived) == ("ann@x", 1_700_000_001.0)
    assert one.flags == {"\\Seen", "\\Answered", "\\Flagged", "$Junk", "x"}
    assert (two.sender, two.flags) == ("", frozenset())


def test_a_mailbox_of_many_windows_is_found_whole(path: Path):
    body = b"A: b\n\n" + b"0123456789abcde\n" * 4000
    one = b"From a Mon Jan  1 00:00:00 2024\n" + body + b"\n"
    path.write_bytes(one * 60)
    entries = list(Mbox(FS, str(path)).scan())
    assert [entry.start for entry in entries] == [number * len(one) for number in range(60)]
    assert {entry.length for entry in entries} == {len(body)}


def test_a_file_that_is_no_mbox_has_no_messages(path: Path):
    assert read(path, b"") == []
    assert read(path, b"just text\nand more\n") == []
