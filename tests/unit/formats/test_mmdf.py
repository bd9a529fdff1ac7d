from pathlib import Path

import pytest
from tests.mailbox_material import LongOctets, contents, message, wire

from penfold.formats import Mmdf
from penfold.formats.mmdf import SEPARATOR
from penfold.fs.posix import PosixFileSystem

FS = PosixFileSystem()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box"


def test_the_octets_on_disk_stand_between_separators(path: Path):
    Mmdf(FS, str(path)).deliver([message(1, b"A: b\r\n\r\nx\r\n")])
    assert path.read_bytes() == (
        SEPARATOR + b"Return-Path: <ann@example.org>\nDelivered-To: bob@example.test\nA: b\n\nx\n" + SEPARATOR
    )


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 100])
def test_a_line_that_would_be_a_separator_is_changed_as_nmh_changes_it(path: Path, step: int):
    body = b"A: b\r\n\r\n\x01\x01\x01\x01\r\n\x01\x01\x01\x01\r\nx\r\n\x01\x01\x01\x01"
    Mmdf(FS, str(path)).deliver([message(1, LongOctets(body, step) if step else body), message(2)])
    expected = wire(message(1, body)).replace(b"\n\x01", b"\n\x02") + b"\r\n"
    assert contents(Mmdf(FS, str(path))) == [expected, wire(message(2))]


@pytest.mark.parametrize(
    "left",
    [
        SEPARATOR,
        SEPARATOR[:2],
        SEPARATOR[:4],
        SEPARATOR + b"A: b\n\nhalf a li",
        SEPARATOR + b"A: b\n\nx\n",
        SEPARATOR + b"A: b\n\nx\n\x01\x01",
        SEPARATOR + b"A: b\n\nx\n" + SEPARATOR + b"\x01",
        SEPARATOR + b"A: b\n\nx\n" + SEPARATOR + SEPARATOR,
        SEPARATOR + b"A: b\n\nx\n" + SEPARATOR,
        SEPARATOR + SEPARATOR,
    ],
)
def test_after_a_crash_the_next_message_stands_in_its_own_pair(path: Path, left: bytes):
    path.write_bytes(left)
    Mmdf(FS, str(path)).deliver([message(1), message(2)])
    lines = path.read_bytes().split(b"\n")
    inside, texts = False, []
    for line in lines[:-1]:
        if line == SEPARATOR[:-1]:
            inside = not inside
            if inside:
                texts.append(b"")
        else:
            assert inside, "text outside a pair"
            texts[-1] += line + b"\r\n"
    assert not inside
    assert texts[-2:] == [wire(message(1)), wire(message(2))]
    assert contents(Mmdf(FS, str(path)))[-2:] == texts[-2:]


def test_a_from_line_after_the_separator_is_not_part_of_the_message(path: Path):
    path.write_bytes(SEPARATOR + b"From ann@x Tue Nov 14 22:13:21 2023\nStatus: R\n\nx\n" + SEPARATOR)
    (entry,) = Mmdf(FS, str(path)).scan()
    assert (entry.sender, entry.arrived, entry.flags) == ("ann@x", 1_700_000_001.0, {"\\Seen"})
    assert Mmdf(FS, str(path)).read(entry) == b"Status: R\r\n\r\nx\r\n"


def test_a_file_cut_off_in_a_message_is_read_to_its_end(path: Path):
    path.write_bytes(SEPARATOR + b"A: 1\n\nx\n" + SEPARATOR + SEPARATOR + b"A: 2\n\nhal")
    assert contents(Mmdf(FS, str(path))) == [b"A: 1\r\n\r\nx\r\n", b"A: 2\r\n\r\nhal"]
