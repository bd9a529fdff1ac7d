"""Responses: what is written, octet for octet."""

import pytest

from penfold.protocols.imap import codes, quoting, responses, rows, shared_responses, status
from penfold.protocols.imap.dates import parse_date_time, render_date_time
from penfold.protocols.imap.listing import Datum
from penfold.protocols.imap.partial import Page
from penfold.protocols.imap.responses import Found
from penfold.protocols.imap.rows import Column
from penfold.protocols.imap.threads import thread_lists


@pytest.mark.parametrize(
    ("octets", "written"),
    [
        (b"", b'""'),
        (b"abc", b'"abc"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        ("ü".encode(), b"{2}\r\n\xc3\xbc"),
        (b"a\0b", b"{3}\r\na\x80b"),
        (b"x" * 5000, b"{5000}\r\n" + b"x" * 5000),
    ],
)
def test_strings_are_quoted_or_literals(octets, written):
    assert quoting.string(octets) == written


def test_utf8_may_stand_in_quotes_where_it_is_enabled():
    assert quoting.string("ü".encode(), utf8=True) == b'"\xc3\xbc"'
    assert quoting.string(b"\xff", utf8=True) == b"{1}\r\n\xff"


def test_atoms_stay_bare_but_nil_is_no_atom():
    assert quoting.astring(b"INBOX") == b"INBOX"
    assert quoting.astring(b"nil") == b'"nil"'
    assert quoting.astring(b"a b") == b'"a b"'
    assert quoting.astring(b"a]") == b'"a]"'
    assert quoting.nstring(None) == b"NIL"
    assert quoting.literal(b"a\0", binary=True) == b"~{2}\r\na\0"


def test_mailboxes_are_listed():
    assert responses.listed("Entwürfe", "/", ["\\Drafts"], utf8=False) == b'* LIST (\\Drafts) "/" Entw&APw-rfe\r\n'
    assert responses.listed("ü", None, [], utf8=True, verb=b"LSUB") == b'* LSUB () NIL "\xc3\xbc"\r\n'
    assert (
        responses.listed("b", "/", ["\\NonExistent"], utf8=True, child_info=["SUBSCRIBED"], old_name="a")
        == b'* LIST (\\NonExistent) "/" b ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" (a))\r\n'
    )
    assert responses.listed("x", "\\", [], utf8=True) == b'* LIST () "\\\\" x\r\n'


def test_status_tells_numbers_ids_and_nil():
    data = [(Datum.MESSAGES, 5), (Datum.MAILBOXID, "F1"), (Datum.APPENDLIMIT, None)]
    assert (
        responses.status_of("a b", data, utf8=False)
        == b'* STATUS "a b" (MESSAGES 5 MAILBOXID (F1) APPENDLIMIT NIL)\r\n'
    )


def test_searches_are_answered_in_the_old_and_the_new_way():
    assert responses.search([2, 84, 882]) == b"* SEARCH 2 84 882\r\n"
    assert responses.search([]) == b"* SEARCH\r\n"
    assert responses.search([2], modseq=917) == b"* SEARCH 2 (MODSEQ 917)\r\n"
    assert responses.sort(iter([5, 3])) == b"* SORT 5 3\r\n"
    found = Found(min=2, max=47, count=25, all=b"2,10:11", modseq=9)
    assert (
        responses.esearch(b"A1", found, uid=True)
        == b'* ESEARCH (TAG "A1") UID MIN 2 MAX 47 COUNT 25 ALL 2,10:11 MODSEQ 9\r\n'
    )
    assert responses.esearch(b"A1", Found(), uid=False) == b'* ESEARCH (TAG "A1")\r\n'
    assert (
        responses.esearch(b"A1", Found(page=(Page(1, 100, from_end=True), b"")), uid=True)
        == b'* ESEARCH (TAG "A1") UID PARTIAL (-1:-100 NIL)\r\n'
    )
    assert (
        responses.esearch(b"A1", Found(all=b"1", mailbox="ü", uid_validity=7, relevancy=[4]), uid=True)
        == b'* ESEARCH (TAG "A1" MAILBOX &APw- UIDVALIDITY 7) UID ALL 1 RELEVANCY (4)\r\n'
    )
    assert responses.esearch(b"A", Found(add=[(0, b"7")], remove=[(0, b"3:4")]), uid=True) == (
        b'* ESEARCH (TAG "A") UID ADDTO (0 7) REMOVEFROM (0 3:4)\r\n'
    )


def test_changes_are_told():
    assert responses.exists(3) + responses.recent(0) == b"* 3 EXISTS\r\n* 0 RECENT\r\n"
    assert responses.expunged([3, 3]) == b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n"
    assert responses.vanished([1, 2, 3, 9], earlier=True) == b"* VANISHED (EARLIER) 1:3,9\r\n"
    assert responses.vanished([]) == b""
    assert responses.flags(["\\Seen", "x"]) == b"* FLAGS (\\Seen x)\r\n"
    assert responses.permanent_flags(["\\*"]) == b"* OK [PERMANENTFLAGS (\\*)] Flags permitted\r\n"
    assert responses.coded(b"UIDNEXT", 5, "Next") == b"* OK [UIDNEXT 5] Next\r\n"
    assert responses.untagged(status.Kind.NO, "x", b"ALERT") == b"* NO [ALERT] x\r\n"
    assert responses.progress(b"A1", 5, 10) == b'* OK [INPROGRESS ("A1" 5 10)] Still at it\r\n'
    assert responses.progress(b"A1") == b'* OK [INPROGRESS ("A1" NIL NIL)] Still at it\r\n'


def test_namespaces_and_identity():
    assert (
        responses.namespace([("", "/")], [], [("Öffentlich/", "/")], utf8=False)
        == b'* NAMESPACE (("" "/")) NIL (("&ANY-ffentlich/" "/"))\r\n'
    )
    assert responses.identity({"name": "Penfold", "version": None}) == b'* ID ("name" "Penfold" "version" NIL)\r\n'
    assert responses.identity({}) == b"* ID NIL\r\n"


def test_rows_are_made_of_columns():
    columns = [
        Column(b"UID", [5, 7], number=True),
        Column(b"FLAGS", [b"(\\Seen)", b"()"]),
        Column(b"MODSEQ", [8, 9], number=True, before=b"(", after=b")"),
        Column(b"BODY[HEADER.FIELDS (%x)]", [b'"a"', b'"%d"']),
    ]
    assert rows.fetch_rows([1, 2], columns) == (
        b'* 1 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (8) BODY[HEADER.FIELDS (%x)] "a")\r\n'
        b'* 2 FETCH (UID 7 FLAGS () MODSEQ (9) BODY[HEADER.FIELDS (%x)] "%d")\r\n'
    )
    assert rows.fetch_rows([5], [Column(b"FLAGS", [b"()"])], verb=b"UIDFETCH") == b"* 5 UIDFETCH (FLAGS ())\r\n"
    with pytest.raises(ValueError, match="shorter"):
        rows.fetch_rows([1, 2], [Column(b"FLAGS", [b"()"])])


def test_single_rows_are_made_of_items():
    items = [
        b"UID 5",
        rows.octets(b"BODY[]", b"a\0"),
        rows.octets(b"BINARY[1]", b"a\0", binary=True),
        rows.preview(None),
    ]
    assert rows.fetch_row(3, items) == b"* 3 FETCH (UID 5 BODY[] {2}\r\na\x80 BINARY[1] ~{2}\r\na\0 PREVIEW NIL)\r\n"
    assert rows.octets(b"BODY[9]", None) == b"BODY[9] NIL"
    assert rows.literal_head(b"BODY[]", 9) == b"BODY[] {9}\r\n"
    assert rows.flag_list(["\\Seen", "x"]) == b"(\\Seen x)"


def test_shared_things_are_told():
    told = shared_responses
    assert told.acl("x", [("bob", "lr"), ("a b", "")], utf8=True) == b'* ACL x bob lr "a b" ""\r\n'
    assert told.list_rights("x", "bob", "", ["l", "r"], utf8=True) == b'* LISTRIGHTS x bob "" l r\r\n'
    assert told.my_rights("x", "lrs", utf8=True) == b"* MYRIGHTS x lrs\r\n"
    assert told.quota("", [("STORAGE", 10, 512)], utf8=True) == b'* QUOTA "" (STORAGE 10 512)\r\n'
    assert told.quota_root("x", [""], utf8=True) == b'* QUOTAROOT x ""\r\n'
    assert told.metadata("", {"/shared/comment": None, "/a": b"x"}, utf8=True) == (
        b'* METADATA "" (/shared/comment NIL /a "x")\r\n'
    )
    assert told.metadata_changed("x", ["/shared/a"], utf8=True) == b"* METADATA x /shared/a\r\n"
    assert told.url_auth(["imap://a"]) == b"* GENURLAUTH imap://a\r\n"
    assert (
        told.url_fetched([("imap://a", b"x"), ("imap://b", None)]) == b"* URLFETCH imap://a {1}\r\nx imap://b NIL\r\n"
    )


def test_codes_carry_sets_and_numbers():
    assert codes.appended(38505, [3955, 3956]) == b"APPENDUID 38505 3955:3956"
    assert codes.copied(7, [1, 2, 9], [4, 5, 6]) == b"COPYUID 7 1:2,9 4:6"
    assert codes.modified([7, 9]) == b"MODIFIED 7,9"
    assert codes.highest_modseq(5) == b"HIGHESTMODSEQ 5"
    assert codes.mailbox_id("F1") == b"MAILBOXID (F1)"
    assert codes.bad_url("/x") == b'BADURL "/x"'
    assert codes.metadata_long_entries(5) == b"METADATA LONGENTRIES 5"
    assert codes.metadata_max_size(5) == b"METADATA MAXSIZE 5"
    assert codes.message_limit(1000, 5) == b"MESSAGELIMIT 1000 5"


def test_dates_are_told_in_utc():
    assert render_date_time(837596665) == b'"17-Jul-1996 09:44:25 +0000"'
    assert render_date_time(0) == b'" 1-Jan-1970 00:00:00 +0000"'
    assert parse_date_time(b"17-Jul-1996 02:44:25 -0700") == 837596665
    assert render_date_time(1 << 62).startswith(b'"31-Dec-9999')
    assert render_date_time(-(1 << 62)).startswith(b'" 1-Jan-0001')
    for text in (b"32-Jan-2000 00:00:00 +0000", b"1-Jan-2000 25:00:00 +0000", b"1-Foo-2000 00:00:00 +0000", b""):
        with pytest.raises(ValueError):  # noqa: PT011
            parse_date_time(text)


def test_threads_are_nested_lists():
    children = {3: [6], 6: [4, 44], 4: [23], 44: [7], 7: [96]}
    assert thread_lists([2, 3], children) == b"(2)(3 6 (4 23)(44 7 96))"  # RFC 5256 §4
    assert thread_lists([-1], {-1: [3, 5]}) == b"((3)(5))"
    assert thread_lists([-1], {-1: [3]}) == b"(3)"
    assert thread_lists([], {}) == b""
    assert responses.thread(b"(2)") == b"* THREAD (2)\r\n"
    assert responses.thread(b"") == b"* THREAD\r\n"


def test_a_thread_may_be_as_deep_as_senders_like():
    deep = 50_000
    chain = {number: [number + 1] for number in range(1, deep)}
    assert thread_lists([1], chain).count(b" ") == deep - 1
    comb = {number: [number + 1, number + deep] for number in range(1, deep)}
    assert thread_lists([1], comb).count(b"(") == 2 * deep - 1
