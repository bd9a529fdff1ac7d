"""Records: what is packed is found again; what is cut, changed or foreign is not believed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.fs.record import GROUP, HEADER_SIZE, Scan, Scanned, pack
from penfold.fs.recording import RecordingFileSystem
from penfold.model import Envelope, Origin
from penfold.queue.spool.layout import body_name, number_of, segment_name
from penfold.queue.spool.record import Meta, Type, decode_message, encode_meta, message_payload

LOG = 0x1122334455667788
PAYLOADS = st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=8)


def log_of(payloads: list[tuple[bool, bytes]]) -> tuple[list[int], bytes]:
    """Pack a log; gives the ends of its records and its octets."""
    octets, ends = b"", []
    for lsn, (first, payload) in enumerate(payloads):
        octets += b"".join(pack(Type.MESSAGE, LOG, lsn, [payload], flags=GROUP if first or not lsn else 0))
        ends.append(len(octets))
    return ends, octets


def scanned(octets: bytes, log_id: int | None = LOG) -> tuple[list[bytes], Scan]:
    disk = RecordingFileSystem()
    file = disk.create("/log")
    file.append([octets])
    scan = Scan(file, log_id=log_id)
    return [record.payload for record in scan], scan


@given(PAYLOADS)
def test_what_is_packed_is_scanned(payloads):
    ends, octets = log_of(payloads)
    found, scan = scanned(octets)
    assert found == [payload for _, payload in payloads]
    assert scan.end == (ends[-1] if ends else 0)
    assert not scan.damaged


@given(PAYLOADS, st.integers(0, 1000))
def test_a_log_cut_anywhere_gives_its_whole_records_and_is_not_damaged(payloads, cut):
    ends, octets = log_of(payloads)
    cut = min(cut, len(octets))
    found, scan = scanned(octets[:cut] + b"\0" * 100)
    assert found == [payload for (_, payload), end in zip(payloads, ends, strict=True) if end <= cut]
    assert not scan.damaged


@given(PAYLOADS.filter(len), st.data())
def test_a_changed_octet_costs_one_record_and_is_damage_only_if_a_later_group_stands(payloads, data):
    ends, octets = log_of(payloads)
    at = data.draw(st.integers(0, len(octets) - 1))
    broken = bytearray(octets)
    broken[at] ^= data.draw(st.integers(1, 255))
    hit = next(number for number, end in enumerate(ends) if at < end)
    found, scan = scanned(bytes(broken))
    later = next((n for n in range(hit + 1, len(payloads)) if payloads[n][0]), None)
    good = list(range(hit)) + ([] if later is None else list(range(later, len(payloads))))
    assert found == [payloads[number][1] for number in good]
    assert scan.damaged == (later is not None)


@given(st.binary(max_size=300))
def test_any_octets_are_scanned_without_an_error(octets):
    for log_id in (None, LOG):
        found, _ = scanned(octets, log_id)
        assert found == []


def test_records_of_another_log_are_not_believed():
    _, octets = log_of([(True, b"mine")])
    other = b"".join(pack(Type.MESSAGE, LOG + 1, 1, [b"stale"], flags=GROUP))
    found, scan = scanned(octets + other)
    assert found == [b"mine"]
    assert not scan.damaged
    assert scan.end == HEADER_SIZE + 4


def test_a_message_cannot_imitate_a_record():
    forged = b"".join(pack(Type.MESSAGE, LOG ^ 1, 9, [b"forged"], flags=GROUP))
    _, octets = log_of([(True, b"a"), (True, forged * 3)])
    found, scan = scanned(octets[:-1])
    assert found == [b"a"]
    assert not scan.damaged


@pytest.mark.parametrize("number", [1, 31, 32, 12345678, 1 << 39])
def test_names_carry_their_numbers(number):
    assert number_of(segment_name(number).partition("/")[2]) == number
    assert number_of(body_name(number).partition("/")[2]) == number


@pytest.mark.parametrize(
    "name", ["", ".seg", "x", "00000001.seg.seg", "1.seg", "0000000U.seg", "lost+found", "0000 001"]
)
def test_strangers_have_no_number(name):
    assert number_of(name) is None


@pytest.mark.parametrize("damage", ["meta longer than the record", "a body of less than nothing"])
def test_a_record_that_checks_and_holds_no_message_is_an_error_and_not_a_message(damage):
    envelope = Envelope(None, 0.0, 1, Origin("ESMTP"))
    if damage == "meta longer than the record":
        payload = b"".join(message_payload(encode_meta(Meta("A1", envelope, ())), []))
        payload = (int.from_bytes(payload[:4], "little") + 5).to_bytes(4, "little") + payload[4:]
    else:
        payload = b"".join(message_payload(encode_meta(Meta("A1", envelope, (), "body/1", b"", -1)), []))
    with pytest.raises(msgspec.MsgspecError):
        decode_message(Scanned(0, len(payload), Type.MESSAGE, 0, 1, payload), 1, "log/1")
