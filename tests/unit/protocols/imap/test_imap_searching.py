"""What SEARCH, SORT and THREAD ask."""

from datetime import date

import pytest
from tests.imap_material import read

from penfold.protocols.imap import search_keys as keys
from penfold.protocols.imap.notifying import Mailboxes, Which
from penfold.protocols.imap.partial import Page
from penfold.protocols.imap.search_keys import Day, When
from penfold.protocols.imap.searching import MAX_DEPTH, Returns
from penfold.protocols.imap.sequence_set import parse_set
from penfold.protocols.imap.sorting import Algorithm, By, Criterion
from penfold.protocols.imap.status import Kind, Refusal

SEEN = keys.HasFlag("\\Seen")


def key(text):
    return read("SEARCH", b" " + (text if isinstance(text, bytes) else text.encode())).key


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("ALL", keys.Every()),
        ("seen", SEEN),
        ("UNSEEN", keys.Not(SEEN)),
        ("NEW", keys.And((keys.HasFlag("\\Recent"), keys.Not(SEEN)))),
        ("OLD", keys.Not(keys.HasFlag("\\Recent"))),
        ("KEYWORD $Junk", keys.HasFlag("$Junk")),
        ("UNKEYWORD \\flagged", keys.Not(keys.HasFlag("\\Flagged"))),
        ("FROM smith", keys.InField("from", "smith")),
        ('HEADER Message-ID ""', keys.InField("message-id", "")),
        ('BODY "a \\"b\\""', keys.InText('a "b"')),
        ("TEXT x", keys.InText("x", header=True)),
        ("SINCE 1-Feb-1994", keys.OnDay(Day.INTERNAL, When.SINCE, date(1994, 2, 1))),
        ('SENTBEFORE "01-feb-1994"', keys.OnDay(Day.SENT, When.BEFORE, date(1994, 2, 1))),
        ("SAVEDON 28-Feb-2024", keys.OnDay(Day.SAVED, When.ON, date(2024, 2, 28))),
        ("LARGER 4294967296", keys.Larger(1 << 32)),
        ("SMALLER 5", keys.Smaller(5)),
        ("YOUNGER 259200", keys.Within(259200)),
        ("OLDER 5", keys.Within(5, older=True)),
        ("2,4:7,*", keys.Numbered(parse_set(b"2,4:7,*"))),
        ("UID 1:*", keys.Numbered(parse_set(b"1:*"), uid=True)),
        ("$", keys.Numbered(parse_set(b"$"))),
        ("MODSEQ 620162338", keys.ChangedAt(620162338)),
        ('MODSEQ "/flags/\\\\draft" all 6', keys.ChangedAt(6, "/flags/\\draft", "all")),
        ("EMAILID M6d99ac3275bb4e", keys.HasEmailId("M6d99ac3275bb4e")),
        ("THREADID T64b478a75b7ea9", keys.HasThreadId("T64b478a75b7ea9")),
        ("SAVEDATESUPPORTED", keys.SaveDateSupported()),
        ("FUZZY (SEEN BODY x)", keys.Fuzzy(keys.And((SEEN, keys.InText("x"))))),
        ("NOT NOT SEEN", SEEN),
        ("NOT (SEEN)", keys.Not(SEEN)),
        ("SEEN 1", keys.And((SEEN, keys.Numbered(parse_set(b"1"))))),
        ("OR SEEN OR ALL UNSEEN", keys.Or((SEEN, keys.Every(), keys.Not(SEEN)))),
        ("OR OR SEEN ALL UNSEEN", keys.Or((keys.Or((SEEN, keys.Every())), keys.Not(SEEN)))),
        ("OR NOT SEEN (ALL SEEN)", keys.Or((keys.Not(SEEN), keys.And((keys.Every(), SEEN))))),
    ],
)
def test_keys_become_a_tree(text, tree):
    assert key(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        *("", "FOO", "(SEEN", "SEEN)", "OR SEEN", "NOT", "FROM", "SINCE 32-Jan-2020", "SINCE 1-Foo-2020", "LARGER -1"),
        *(
            "YOUNGER 0",
            "MODSEQ x",
            "MODSEQ /a all 5",
            "KEYWORD (",
            "UID",
            "()",
            "SEEN  SEEN",
            "1,",
            "HEADER a",
            "OR a b c",
        ),
    ],
)
def test_what_is_no_search_is_refused_as_bad(text):
    with pytest.raises(Refusal) as refusal:
        key(text)
    assert refusal.value.status.kind is Kind.BAD


def test_nesting_has_a_limit_and_chains_cost_none():
    key("(" * MAX_DEPTH + "ALL" + ")" * MAX_DEPTH)
    for text in ("(" * 9999 + "ALL", "FUZZY " * 9999 + "ALL", "OR " * 9999 + "ALL"):
        with pytest.raises(Refusal, match="too complex"):
            key(text)
    chain = key("OR SEEN " * 3000 + "ALL")
    assert len(chain.keys) == 3001
    assert key("NOT " * 10_000 + "SEEN") == SEEN
    with pytest.raises(Refusal, match="too complex"):
        key("SEEN " * 11_000 + "SEEN")


def test_strings_are_read_in_their_charset():
    assert key(b"CHARSET ISO-8859-1 SUBJECT {1+}\r\n\xe9") == keys.InField("subject", "é")
    assert key(b"CHARSET utf-8 SUBJECT {2+}\r\n\xc3\xa9") == keys.InField("subject", "é")
    assert key(b"SUBJECT {2+}\r\n\xc3\xa9") == keys.InField("subject", "é")
    with pytest.raises(Refusal) as refusal:
        key("CHARSET x-unknown ALL")
    assert refusal.value.status.code == b"BADCHARSET (US-ASCII UTF-8)"
    with pytest.raises(Refusal, match="charset"):
        key(b"CHARSET US-ASCII SUBJECT {1+}\r\n\xe9")


@pytest.mark.parametrize(
    ("text", "returns"),
    [
        (" ALL", None),
        (" RETURN () ALL", Returns(all=True)),
        (" return (MIN max COUNT) ALL", Returns(min=True, max=True, count=True)),
        (" RETURN (SAVE) ALL", Returns(save=True)),
        (" RETURN (UPDATE CONTEXT PARTIAL 1:10) ALL", Returns(update=True, context=True, page=Page(1, 10))),
        (" RETURN (RELEVANCY ALL) FUZZY ALL", Returns(all=True, relevancy=True)),
    ],
)
def test_return_options_are_read(text, returns):
    assert read("UID SEARCH", text).returns == returns


def test_save_alone_has_no_response():
    assert not Returns(save=True).responds
    assert Returns(save=True, count=True).responds


@pytest.mark.parametrize(
    "text", [" RETURN (FOO) ALL", " RETURN (MIN MIN) ALL", " RETURN (ALL PARTIAL 1:2) ALL", " RETURN ("]
)
def test_bad_return_options_are_refused(text):
    with pytest.raises(Refusal):
        read("SEARCH", text)


def test_esearch_names_its_mailboxes():
    request = read("ESEARCH", ' IN (mailboxes "f1" subtree (a b) personal) RETURN (COUNT) SEEN')
    assert request.sources == (
        Mailboxes(Which.MAILBOXES, ("f1",)),
        Mailboxes(Which.SUBTREE, ("a", "b")),
        Mailboxes(Which.PERSONAL),
    )
    assert request.returns == Returns(count=True)
    assert request.key == SEEN
    assert read("ESEARCH", " SEEN").sources == ()


def test_sort_has_criteria_and_thread_an_algorithm():
    request = read("UID SORT", " RETURN (COUNT) (REVERSE DATE SUBJECT displayfrom) UTF-8 SINCE 1-Feb-1994 SEEN")
    assert request.criteria == (Criterion(By.DATE, reverse=True), Criterion(By.SUBJECT), Criterion(By.DISPLAYFROM))
    assert request.returns == Returns(count=True)
    assert isinstance(request.key, keys.And)
    assert read("THREAD", " references US-ASCII ALL").algorithm is Algorithm.REFERENCES
    for verb, text in (("SORT", " (FOO) UTF-8 ALL"), ("SORT", " () UTF-8 ALL"), ("THREAD", " FOO UTF-8 ALL")):
        with pytest.raises(Refusal):
            read(verb, text)


def test_numbers_in_a_tree_are_found_wherever_they_are():
    assert keys.uses_numbers(key("NOT (SEEN FUZZY OR ALL 5)"))
    assert not keys.uses_numbers(key("OR SEEN (UID 5 $)"))
