"""The fields that mail programs keep in messages."""

from hypothesis import given
from hypothesis import strategies as st

from penfold.formats.status import Base, block, read, rewritten, room, strip, with_keywords, without

FLAGS = st.frozensets(st.sampled_from(["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Junk", "work"]))
HEADERS = st.lists(
    st.sampled_from([b"Subject: x\n", b"To: y\n z\n", b"Status: R\n", b"X-UID: 3\n", b"X-Keywords: a\n b\n"])
)


def test_fields_are_read_whatever_their_case_and_order():
    state = read(b"subject: x\nX-KEYWORDS: $Work a\nstatus: RO\nX-UID: 17  \nX-Status: AF\nx-imapbase: 5 20 k1 k2\n")
    assert state.flags == {"\\Seen", "\\Answered", "\\Flagged", "$Work", "a"}
    assert (state.uid, state.seen, state.base) == (17, True, Base(5, 20, b"k1 k2"))


def test_numbers_that_cannot_be_are_none():
    assert read(b"X-UID: 99999999999\n").uid == 0
    assert read(b"X-UID: 4294967295\n").uid == 0
    assert read(b"X-UID: x\nX-IMAPbase: 0 5\n").base is None
    assert read(b"Subject: x\n").spans == ()


def test_a_message_of_c_client_that_is_none_is_known():
    assert read(b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 5 6\n").base == Base(
        5, 6, b"", True
    )
    assert read(b"Subject: x\nX-IMAP: 5 6\n").base == Base(5, 6)


@given(HEADERS, FLAGS, FLAGS, st.booleans())
def test_a_block_says_what_it_was_given_and_keeps_its_length(lines, first, second, seen):
    header = b"".join(lines)
    one = rewritten(header, read(header), block(first, 5, seen=seen, base=Base(7, 9), length=room(read(header))))
    assert (read(one).flags, read(one).uid, read(one).seen, read(one).base) == (first, 5, seen, Base(7, 9))
    two = rewritten(one, read(one), block(second, 5, seen=seen, base=Base(7, 9), length=room(read(one))))
    assert read(two).flags == second
    assert strip(one) == strip(two) == strip(header)
    if len(block(second, 5, seen=seen, base=Base(7, 9))) - 24 - 128 <= room(read(one)):
        assert len(one) == len(two)


def test_a_length_a_sender_wrote_is_taken_out():
    assert strip(b"Subject: x\nContent-Length: 5\nTo: y\n") == b"Subject: x\nTo: y\n"


def test_keywords_are_put_on_the_list_once():
    base = with_keywords(Base(1, 2, b"Work"), ["work", "$Junk", "\\Seen", "a"])
    assert base == Base(1, 2, b"Work $Junk a")
    assert with_keywords(base, ["A"]) is base


@given(st.binary(max_size=300))
def test_any_header_can_be_read_and_stripped(octets):
    state = read(octets)
    assert strip(octets) in {without(octets, state.spans), strip(without(octets, state.spans))}
