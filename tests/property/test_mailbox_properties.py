"""What holds for all messages, however they are cut, in every format on disk."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mailbox_material import FORMATS, LongOctets, Octets, contents, message, wire

from penfold.formats import Mbox, Mmdf, Stored
from penfold.formats.folders import decode, encode
from penfold.formats.lines import quote, quoted, to_crlf, to_lf, unquote, unquoted
from penfold.formats.mbox import from_line, parse_from_line
from penfold.formats.sequences import Ranges, Sequences
from penfold.fs.locks import LockPolicy
from penfold.fs.posix import PosixFileSystem

FS = PosixFileSystem()
NO_LOCKS = LockPolicy(order=())

atoms = st.sampled_from(
    [b"From ", b">", b">>", b"From", b"F", b"\n", b"\r\n", b"\r", b"\x01\x01\x01\x01", b"\x01", b"x", b" "]
)
texts = st.lists(atoms | st.binary(max_size=3), max_size=30).map(b"".join)
cuts = st.lists(st.integers(0, 80), max_size=12)
bodies = texts.map(lambda text: text.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if place <= len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(texts, cuts)
def test_quoting_in_pieces_is_quoting_at_once(text: bytes, places: list[int]):
    assert b"".join(quoted(cut(text, places))) == quote(text)


@given(texts, cuts)
def test_unquoting_in_pieces_is_unquoting_at_once(text: bytes, places: list[int]):
    assert b"".join(unquoted(cut(text, places))) == unquote(text)


@given(texts)
def test_what_is_quoted_is_unquoted_to_the_same_and_has_no_from_line(text: bytes):
    on_disk = quote(text)
    assert unquote(on_disk) == text
    assert b"\nFrom " not in b"\n" + on_disk


@given(texts, cuts)
def test_line_ends_do_not_depend_on_the_cuts(text: bytes, places: list[int]):
    assert b"".join(to_lf(cut(text, places))) == text.replace(b"\r\n", b"\n")
    assert b"".join(to_crlf(cut(text, places))) == text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("kind", sorted(FORMATS))
@settings(deadline=None, max_examples=60)
@given(batch=st.lists(bodies, min_size=1, max_size=5), step=st.integers(0, 9))
def test_every_format_gives_back_what_it_got(directory: Path, kind: str, batch: list[bytes], step: int):
    with tempfile.TemporaryDirectory(dir=directory) as name:
        box = {
            "mbox": lambda fs, path: Mbox(fs, path, locks=NO_LOCKS),
            "mmdf": lambda fs, path: Mmdf(fs, path, locks=NO_LOCKS),
        }.get(kind, FORMATS[kind])(FS, f"{name}/box")
        make: Callable[[bytes], Octets] = (lambda body: LongOctets(body, step)) if step else Octets
        messages = [message(number, make(body)) for number, body in enumerate(batch)]
        assert all(isinstance(result, Stored) for result in box.deliver(messages))
        escaped = b"\r\n\x02\x01\x01\x01" if kind == "mmdf" else b"\r\n\x01\x01\x01\x01"
        expected = [(wire(each) + b"|").replace(b"\r\n\x01\x01\x01\x01\r\n", escaped + b"\r\n") for each in messages]
        expected = [each.replace(b"\r\n\x01\x01\x01\x01\r\n", escaped + b"\r\n")[:-1] for each in expected]
        assert contents(box) == expected


@pytest.mark.parametrize("kind", ["mbox", "mmdf"])
@settings(deadline=None, max_examples=60)
@given(left=texts, data=st.data())
def test_whatever_a_crash_left_the_next_message_is_whole(directory: Path, kind: str, left: bytes, data: st.DataObject):
    with tempfile.TemporaryDirectory(dir=directory) as name:
        path = Path(name) / "box"
        box = Mbox(FS, str(path), locks=NO_LOCKS) if kind == "mbox" else Mmdf(FS, str(path), locks=NO_LOCKS)
        box.deliver([message(1), message(2, quote(left) or b"x")])
        octets = path.read_bytes()
        path.write_bytes(octets[: data.draw(st.integers(0, len(octets)))])
        box.deliver([message(3), message(4)])
        assert contents(box)[-2:] == [wire(message(3)), wire(message(4))]


@given(st.text(), st.floats(0, 4e9))
def test_a_from_line_is_one_line_with_a_date(sender: str, arrived: float):
    line = from_line(sender, arrived)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    parsed = parse_from_line(line)
    assert parsed is not None
    assert parsed[1] == int(arrived)


@given(st.binary(max_size=200))
def test_any_from_line_is_understood_or_not_but_never_raises(line: bytes):
    parse_from_line(b"From " + line)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=8), st.integers(1, 60))
def test_ranges_are_the_set_of_their_numbers(pairs: list[tuple[int, int]], number: int):
    numbers = {n for low, high in pairs for n in range(low, high + 1)}
    assert (number in Ranges(pairs)) == (number in numbers)


@given(st.binary(max_size=200), st.integers(1, 999_999_999))
def test_a_number_added_to_any_sequences_file_is_there_when_read_again(text: bytes, number: int):
    sequences = Sequences.parse(text)
    sequences.add("unseen", number)
    assert number in Sequences.parse(sequences.octets()).numbers("unseen")


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_folder_names_come_back(name: str):
    written = encode(name)
    assert written.isascii()
    assert decode(written) == name
