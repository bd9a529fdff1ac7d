"""The header block: bounds, fields, facts, the incremental reader."""

from penfold.message.header import Header, bounds, count_fields, facts, unfold

MESSAGE = (
    b"Received: from a ([192.0.2.1])\r\n\tby b; Mon, 2 Mar 2026 10:00:00 +0000\r\n"
    b"received : from c by d; x\r\n"
    b"From: Ada <ada@example.test>\r\n"
    b"Subject: Received: in a subject\r\n Received: in a folded one\r\n"
    b"MESSAGE-ID:\r\n <Mixed.Case@Example.test>\r\n"
    b"Date: today\r\n"
    b"\r\n"
    b"Received: in the body\r\n"
)


def test_bounds_find_the_empty_line_after_crlf_and_after_bare_lf():
    assert bounds(b"A: b\r\n\r\nbody") == (6, 8)
    assert bounds(b"A: b\n\nbody") == (5, 6)
    assert bounds(b"A: b\n\r\nbody") == (5, 7)


def test_a_message_that_starts_with_an_empty_line_has_no_header():
    assert bounds(b"\r\nA: b\r\n") == (0, 2)
    assert bounds(b"\nA: b\r\n") == (0, 1)


def test_a_header_without_an_end_is_all_header():
    assert bounds(b"A: b\r\nC: d") == (10, 10)
    assert bounds(b"") == (0, 0)


def test_a_line_that_is_no_field_ends_the_header_and_belongs_to_the_body():
    assert bounds(b"A: b\r\nhello world\r\nB: c\r\n") == (6, 6)
    assert bounds(b"hello\r\n") == (0, 0)


def test_facts_count_hops_and_see_what_is_there():
    """RFC 5321 §6.3."""
    known = facts(MESSAGE)
    assert known.hops == 2
    assert known.message_id == "<Mixed.Case@Example.test>"
    assert (known.has_date, known.has_from, known.has_message_id, known.has_sender) == (True, True, True, False)
    assert known.ascii
    assert MESSAGE[known.bounds.body :] == b"Received: in the body\r\n"


def test_an_empty_message_id_does_not_borrow_from_the_next_field():
    known = facts(b"Message-ID:\r\nFrom: a@b.c\r\n")
    assert (known.has_message_id, known.message_id) == (True, "")


def test_facts_of_an_empty_header_are_all_no():
    known = facts(b"\r\nDate: in the body\r\n")
    assert (known.hops, known.message_id, known.has_date, known.has_from) == (0, "", False, False)


def test_facts_notice_eight_bit_octets_in_the_header_only():
    assert not facts("Subject: é\r\n\r\n".encode()).ascii
    assert facts("Subject: e\r\n\r\né".encode()).ascii


def test_fields_are_found_without_regard_to_case_and_unfolded():
    """RFC 5322 §2.2.3."""
    header = Header(MESSAGE[: bounds(MESSAGE).end])
    assert header.first("subject") == b"Received: in a subject Received: in a folded one"
    assert len(header.all(b"RECEIVED")) == 2
    assert header.first("to") is None


def test_delete_takes_out_folded_fields_whole_and_leaves_the_rest():
    header = Header(b"A: 1\r\nBcc: x,\r\n y\r\nC: 2\r\nBCC : z\r\n").delete("bcc")
    assert bytes(header) == b"A: 1\r\nC: 2\r\n"


def test_replace_puts_the_new_field_where_the_first_old_one_stood():
    header = Header(b"A: 1\r\nB: 2\r\nC: 3\r\nb: 4\r\n")
    assert bytes(header.replace("b", b"B: new\r\n")) == b"A: 1\r\nB: new\r\nC: 3\r\n"
    assert bytes(header.replace("d", b"D: new\r\n")).startswith(b"D: new\r\nA: 1")


def test_unfold_joins_lines_and_strips_the_ends_only():
    assert unfold(b" a\r\n  b\n\tc \r\n") == b"a  b\tc"


def test_count_fields_does_not_count_continuations():
    assert count_fields(b"A: 1\r\n b\r\nB: 2\r\n") == 2
