"""The formats of the native store: what is written is read, what is torn is noticed."""

import gc
import os
from array import array
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.fs.mapped import mapped
from penfold.fs.posix import PosixFileSystem
from penfold.fs.recording import RecordingFileSystem
from penfold.message.summary import summary
from penfold.model import ConfigError
from penfold.store import Column, Item
from penfold.store.native import index, layout, rendered
from penfold.store.native.files import Files
from penfold.store.native.group import Group, carry_out_again
from penfold.store.native.slots import SLOT, Head, Slot, Torn, pack_head, pack_slot, read_head, read_slot
from penfold.store.native.table import SIZE, Table, key_of


@given(st.integers(0, 5000), st.integers(0, 3000))
def test_rows_cut_by_blocks_follow_one_another_and_never_overlap(first, count):
    spans = list(index.spans(first, first + count))
    assert sum(span.stop - span.first for span in spans) == count
    pieces = []
    for span in spans:
        assert span.rows in {128, 1024}
        pieces += [(*span.column(name),) for name in (Column.UID, Column.FLAGS, Column.MODSEQ, Column.GONE)]
        pieces.append(span.facts())
    ends = sorted((offset, offset + length) for offset, length in pieces)
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert not ends or index.extent(first + count) >= ends[-1][1]


def test_blocks_begin_at_pages():
    (first,) = index.spans(128, 129)
    (second,) = index.spans(128 + 1024, 128 + 1025)
    assert first.base % 4096 == second.base % 4096 == 0
    assert index.extent(0) == 512


def rows_of(count: int) -> list[index.Facts]:
    return [index.Facts(n, n + 1, -n, n + 3, n + 4, 10 * n, n + 6, n + 7, n, 9, -5, 11, n & 1) for n in range(count)]


def test_an_index_gives_back_its_columns_and_facts():
    count = 1400
    disk = bytearray(index.extent(count))

    def write(offset: int, octets: bytes) -> None:
        disk[offset : offset + len(octets)] = octets

    facts = rows_of(count)
    hot = ([n + 1 for n in range(count)], [n * 7 for n in range(count)], list(range(count)), [0] * count)
    packed = [index.pack_facts(*each) for each in facts]
    index.write_rows(write, 0, [column[:100] for column in hot], packed[:100])
    index.write_rows(write, 100, [column[100:] for column in hot], packed[100:])

    def read(offset: int, length: int) -> memoryview:
        return memoryview(disk)[offset : offset + length]

    assert list(index.column(read, Column.UID, 0, count)) == hot[0]
    assert list(index.column(read, Column.FLAGS, 90, 1300)) == hot[1][90:1300]
    assert list(index.facts(read, 0, count)) == facts
    assert index.one(read, 1399) == facts[1399]
    assert list(index.column(read, Column.INTERNAL, 120, 140)) == list(range(120, 140))
    assert list(index.column(read, Column.SENT, 3, 6)) == [-3, -4, -5]
    assert index.column(read, Column.SIZE, 0, 5) == array("I", range(5))
    assert index.column(read, Column.ANSWER, 0, 5) == array("B", [0, 1, 0, 1, 0])
    assert index.arrived_after(read, 5000, count) == 501
    assert index.arrived_after(read, 10**9, count) == count


def test_slots_are_read_back_and_notice_a_torn_write():
    head = Head(modseq=2**40, deleted=-1, forgotten=7, storage=3, image_crc=2**32 - 1, trees=4)
    slot = Slot(modseq=9, rows=3, uidnext=2**32 - 1, purged=1, pack=8)
    assert read_head(pack_head(head)) == head
    assert read_slot(pack_slot(slot)) == slot
    assert len(pack_head(head)) == len(pack_slot(slot)) == SLOT
    for octets in (b"", bytes(SLOT), pack_slot(slot)[:64] + pack_slot(Slot())[64:]):
        with pytest.raises(Torn):
            read_slot(octets)


def test_what_was_rendered_is_taken_out_item_by_item():
    made = summary(b"Subject: Re: x\r\nMessage-ID: <a@b>\r\n\r\nhello")
    record = rendered.write(made, "uidl-1")
    assert rendered.read(record, Item.ENVELOPE) == made.envelope
    assert rendered.read(record, Item.MESSAGE_ID) == b"a@b"
    assert rendered.read(record, Item.UIDL) == b"uidl-1"
    first, stop = rendered.place(b"....." + record, 5, Item.PREVIEW)
    assert (b"....." + record)[first:stop] == b"hello"


class Disk:
    """What a table needs."""

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}

    def read(self, generation: int, offset: int, length: int) -> bytes:
        return bytes(self.files[generation][offset : offset + length])

    def write(self, generation: int, offset: int, octets: bytes) -> None:
        file = self.files.setdefault(generation, bytearray())
        file.extend(bytes(max(0, offset + len(octets) - len(file))))
        file[offset : offset + len(octets)] = octets

    def drop(self, generation: int) -> None:
        del self.files[generation]

    def table(self, head: Head) -> Table:
        return Table(head, read=self.read, write=self.write, drop=self.drop)


@pytest.mark.parametrize("count", [1, 40, 300, 5000])
def test_a_table_finds_what_was_put_in_also_when_it_is_read_again(count):
    disk, head, random = Disk(), Head(), Random(count)
    table = disk.table(head)
    known = {random.getrandbits(64) or 1: random.getrandbits(64) for _ in range(count)}
    assert table.get(5) is None
    for number, (key, value) in enumerate(known.items()):
        table.put(key, value)
        if number % 7 == 0:
            table.committed()
    some = next(iter(known))
    table.put(some, 4711)
    known[some] = 4711
    again = disk.table(head)
    assert {key: again.get(key) for key in known} == known
    assert again.get(12345) is None
    assert head.table_used == count
    assert len(disk.files) == 1
    assert len(disk.files[head.table]) == (SIZE << head.table_bits)
    assert 2 * head.table_used <= 1 << head.table_bits


def test_keys_depend_on_the_secret_and_on_where_words_end():
    assert key_of(b"s", b"ab", b"c") != key_of(b"s", b"a", b"bc") != key_of(b"t", b"a", b"bc")
    assert key_of(b"s", b"a") == key_of(b"s", b"a") != 0


def test_a_group_done_twice_gives_the_same_files(tmp_path):
    fs = PosixFileSystem()
    files = Files(fs, str(tmp_path))
    group = Group()
    group.write("ab/x/one", 3, b"hello")
    group.write("ab/x/two", 0, b"gone")
    group.write("ab/x/one", 4, b"E")
    group.remove("ab/x/two")
    group.drop("ab/x")
    for _ in range(2):
        assert carry_out_again(b"".join(group.payload(77)), files) == 77
        assert fs.read(f"{tmp_path}/ab/x/one") == b"\0\0\0hEllo"
        assert fs.names(f"{tmp_path}/ab/x") == ["one"]
    files.remove("ab/x/one")
    files.drop("ab/x")
    assert fs.names(f"{tmp_path}/ab") == []


def test_few_files_are_open_however_many_are_written(tmp_path):
    files = Files(PosixFileSystem(), str(tmp_path), most=3)
    for number in range(20):
        files.get(f"aa/{number}/f").write_at(0, b"%d" % number)
    assert len(files._open) == 3
    assert files.read("aa/0/f", 0, 1) == b"0"
    with pytest.raises(OSError, match="too short"):
        files.read("aa/0/f", 0, 9)
    files.close()


def test_a_file_is_mapped_and_shows_later_changes(tmp_path):
    fs = PosixFileSystem()
    file = fs.create(f"{tmp_path}/x")
    assert not mapped(file).octets
    file.append([b"abc"])
    seen = mapped(file)
    file.write_at(1, b"X")
    assert (bytes(seen.octets), seen.live) == (b"aXc", True)


def test_a_map_holds_no_descriptor_and_lives_as_long_as_a_piece_of_it(tmp_path):
    fs = PosixFileSystem()
    file = fs.create(f"{tmp_path}/x")
    file.append([b"abcdef" * 1000])
    before = len(os.listdir("/proc/self/fd"))
    maps = [mapped(file) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert maps[0].octets.readonly
    assert len(maps[0].octets) == 6000
    file.close()
    piece = maps[7].octets[6:9]
    maps.clear()
    gc.collect()
    with open("/proc/self/maps") as lines:
        assert sum(f"{tmp_path}/x" in line for line in lines) == 1
    assert bytes(piece) == b"abc"


def test_a_file_that_cannot_be_mapped_is_read():
    file = RecordingFileSystem().create("/x")
    file.append([b"abc"])
    seen = mapped(file)
    file.write_at(1, b"X")
    assert (bytes(seen.octets), seen.live) == (b"abc", False)


def test_a_newer_store_and_a_strange_folder_are_refused_with_words(tmp_path):
    fs = PosixFileSystem()
    layout.prepare(fs, f"{tmp_path}/s", "0")
    layout.prepare(fs, f"{tmp_path}/s", "1")
    assert fs.read(f"{tmp_path}/s/VERSION") == b"penfold store 1\n"
    (tmp_path / "s" / "VERSION").write_text("penfold store 9\n")
    with pytest.raises(ConfigError, match="format 9"):
        layout.prepare(fs, f"{tmp_path}/s", "0")
    (tmp_path / "s" / "VERSION").write_text("something\n")
    with pytest.raises(ConfigError, match="not a store"):
        layout.prepare(fs, f"{tmp_path}/s", "0")


@pytest.mark.parametrize("account", ["", ".", "..", "a/b", "a\0", "é", "x" * 101, "a.b"])
def test_what_is_no_account_id_names_no_folder(account):
    assert not layout.good_account(account)
