"""Parts as IMAP numbers them, windows into larger buffers, and the limits on what is looked at."""

import mmap

import pytest

from penfold.message.bodystructure import bodystructure
from penfold.message.fields import MAX_FIELDS, MAX_VALUE, pick
from penfold.message.mime import MAX_DEPTH, MAX_PARTS
from penfold.message.structure import Window, find, leaves, octets, parts, scan

# The message of RFC 9051 §6.4.5.1, whose parts the standard numbers.
EXAMPLE = (
    b"Content-Type: multipart/mixed; boundary=A\r\n\r\n"
    b"--A\r\nContent-Type: text/plain\r\n\r\n1\r\n"
    b"--A\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n"
    b"--A\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    b"--B\r\nContent-Type: text/plain\r\n\r\n3.1\r\n"
    b"--B\r\nContent-Type: application/octet-stream\r\n\r\n3.2\r\n--B--\r\n"
    b"\r\n--A\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n"
    b"--C\r\nContent-Type: image/gif\r\n\r\n4.1\r\n"
    b"--C\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: four-two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"
    b"--D\r\nContent-Type: text/plain\r\n\r\n4.2.1\r\n"
    b"--D\r\nContent-Type: multipart/alternative; boundary=E\r\n\r\n"
    b"--E\r\nContent-Type: text/plain\r\n\r\n4.2.2.1\r\n"
    b"--E\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--E--\r\n"
    b"\r\n--D--\r\n\r\n--C--\r\n\r\n--A--\r\n"
)


def body(data, numbers):
    part = find(scan(data), numbers)
    return data[part.body : part.end]


@pytest.mark.parametrize(
    "numbers", [(1,), (2,), (3, 1), (3, 2), (4, 1), (4, 2, 1), (4, 2, 2, 1), (4, 2, 2, 2)], ids=str
)
def test_the_parts_of_the_standard_s_example_have_its_numbers(numbers):
    assert body(EXAMPLE, numbers) == ".".join(map(str, numbers)).encode()


@pytest.mark.parametrize("numbers", [(0,), (5,), (1, 1), (2, 1), (3, 3), (4, 2, 2, 3), (4, 2, 1, 1)], ids=str)
def test_a_number_that_is_none_finds_nothing(numbers):
    assert find(scan(EXAMPLE), numbers) is None


def test_part_one_of_a_message_without_parts_is_its_body():
    assert body(b"Subject: x\r\n\r\nbody\r\n", (1,)) == b"body\r\n"
    assert find(scan(b"Subject: x\r\n\r\nbody\r\n"), (1, 1)) is None


def test_a_message_that_is_a_message_is_numbered_through():
    data = b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n"
    assert body(data, (1,)) == b"Subject: x\r\n\r\nbody\r\n"
    assert body(data, (1, 1)) == b"body\r\n"


def test_leaves_come_in_order_and_leave_nothing_out():
    kinds = [part.type for part in leaves(scan(EXAMPLE))]
    assert kinds.count("message/rfc822") == 2
    assert len(kinds) == 15
    starts = [part.start for part in leaves(scan(EXAMPLE))]
    assert starts == sorted(starts)


@pytest.mark.parametrize("wrap", [bytes, memoryview, bytearray])
def test_other_buffers_give_the_same_structure(wrap):
    data = octets(memoryview(wrap(EXAMPLE)))
    assert bodystructure(data, scan(data)) == bodystructure(EXAMPLE, scan(EXAMPLE))


def test_a_window_into_a_map_is_read_like_the_message_alone():
    with mmap.mmap(-1, 16384) as mapped:
        mapped[0:16384] = (
            b"--A\r\n" * 200
            + EXAMPLE
            + b"\r\n--A\r\n" * ((15384 - len(EXAMPLE)) // 7)
            + b"-" * ((15384 - len(EXAMPLE)) % 7)
        )
        window = Window(mapped, 1000, 1000 + len(EXAMPLE))
        assert len(window) == len(EXAMPLE)
        assert window[:] == EXAMPLE
        root = scan(window)
        assert bodystructure(window, root) == bodystructure(EXAMPLE, scan(EXAMPLE))


@pytest.mark.parametrize("span", [(0, 3), (2, 2), (5, 100), (-3, 4), (9, 2)])
def test_a_window_finds_what_the_slice_would(span):
    data = b"abcabcab"
    window = Window(data, *span)
    inside = data[max(span[0], 0) : max(span[1], 0)]
    assert window[:] == inside
    for start in range(5):
        for end in range(5):
            assert window.find(b"b", start, end) == inside.find(b"b", start, end)
            assert window[start:end] == inside[start:end]
        assert window.find(b"c", start) == inside.find(b"c", start)


def nested(depth):
    opening = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return opening + b"\r\ndeep\r\n"


def test_what_is_nested_deeper_than_a_hundred_is_one_text():
    data = nested(10_000)
    root = scan(data)
    depth, part = 0, root
    while part.children:
        depth, part = depth + 1, part.children[0]
    assert depth == MAX_DEPTH
    assert part.opaque
    assert parts(part)[0].type == "text/plain"
    assert bodystructure(data, root).count(b"(") < 1000


def test_messages_nested_deeper_than_a_hundred_are_one_text():
    data = b"Content-Type: message/rfc822\r\n\r\n" * 10_000
    rendered = bodystructure(data, scan(data))
    assert rendered.count(b'"rfc822"') == MAX_DEPTH
    assert rendered.count(b'"plain"') == 1


def test_ten_thousand_parts_are_a_limit():
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 500)
    root = scan(data)
    assert len(root.children) == MAX_PARTS - 1
    assert root.opaque


def test_long_headers_of_many_parts_are_rendered_up_to_a_limit():
    part = b"--b\r\nContent-Type: message/rfc822; x=" + b"y" * 1000 + b"\r\n\r\nSubject: z\r\n\r\nw\r\n"
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 3000
    rendered = bodystructure(data, scan(data))
    assert 500 < rendered.count(b'("x" "yyy') < 1100
    assert rendered.count(b'"message" "rfc822"') == 3000
    assert rendered.count(b'"z" NIL') < 1100
    assert len(rendered) < 2_000_000


def test_lines_of_a_large_body_are_counted_once_and_right():
    body = b"\r\n" * 200_000 + b"x"
    data = b"Content-Type: message/rfc822\r\n\r\n" * 3 + b"\r\n" + body
    rendered = bodystructure(data, scan(data), extended=False)
    assert rendered.endswith(b'"7bit" 400001 200000) 200001) 200003) 200005)')
    with mmap.mmap(-1, len(data)) as mapped:
        mapped[:] = data
        assert bodystructure(mapped, scan(mapped), extended=False) == rendered


def test_fields_beyond_the_limit_are_not_looked_at():
    header = b"X-A: b\r\n" * MAX_FIELDS + b"Subject: late\r\n"
    assert b"subject" not in pick(header).values
    assert pick(header[8:]).text(b"subject") == b"late"


def test_a_long_value_is_cut():
    assert len(pick(b"Subject: " + b"x" * (2 * MAX_VALUE) + b"\r\n").values[b"subject"]) == MAX_VALUE
    many = b"To: a@b\r\n" * 1500 + b"To: " + b"c@d, " * 100_000 + b"\r\n"
    assert len(pick(many).values[b"to"]) == MAX_VALUE


def test_names_of_any_case_and_with_spaces_before_the_colon_are_found():
    fields = pick(b"sUBJECT \t: x\r\nMESSAGE-ID:<y>\r\nNo-Such: z\r\nnothing\r\n")
    assert fields.values == {b"subject": b" x\r", b"message-id": b"<y>\r"}
