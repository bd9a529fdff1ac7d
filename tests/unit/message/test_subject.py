"""Base subjects, sent dates, message ids and sort keys."""

import datetime as dt

import pytest

from penfold.message.fields import pick
from penfold.message.references import MAX_IDS, ancestors, message_id, message_ids
from penfold.message.sent_date import sent_date
from penfold.message.sort_key import first_address
from penfold.message.subject import Subject, base_subject


@pytest.mark.parametrize(
    ("value", "base", "answer"),
    [
        (b" Hello", "Hello", False),
        (b"Re: Hello", "Hello", True),
        (b"RE:re: Fwd: fw: Hello", "Hello", True),
        (b"Re[2]: Hello", "Hello", True),
        (b"Re [2] : Hello", "Hello", True),
        (b"[list] Hello", "Hello", False),
        (b"Re: [list] Re: Hello", "Hello", True),
        (b"[a] [b] Re: Hello", "Hello", True),
        (b"[list]", "[list]", False),
        (b"[a] [b]", "[b]", False),
        (b"Hello (fwd)", "Hello", True),
        (b"Hello (FWD) (fwd) ", "Hello", True),
        (b"[fwd: Hello]", "Hello", True),
        (b"[Fwd: Re: [x] Hello (fwd)]", "Hello", True),
        (b"Re: ", "", True),
        (b"", "", False),
        (b"Reply: Hello", "Reply: Hello", False),
        (b"AW: Hello", "AW: Hello", False),
        (b"Hello\r\n\tthere   you", "Hello there you", False),
        (b"=?utf-8?q?Re:_caf=C3=A9?=", "café", True),
        (b"(fwd)", "", True),
        (b"Hello (fwd) more", "Hello (fwd) more", False),
        (b"[unclosed Hello", "[unclosed Hello", False),
    ],
)
def test_the_base_subject_is_what_is_left(value, base, answer):
    assert base_subject(value) == Subject(base, answer)


@pytest.mark.parametrize("value", [b"Re: " * 50_000, b"[a]" * 50_000 + b"x", b"[fwd:" * 20_000 + b"]" * 20_000])
def test_endless_prefixes_are_bounded(value):
    base_subject(value)


def utc(*date):
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b" Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r", utc(1996, 7, 17, 9, 23, 25)),
        (b"17 Jul 1996 02:23:25 +0000", utc(1996, 7, 17, 2, 23, 25)),
        (b"Wed, 1 Jan 2020 00:00 +0130", utc(2019, 12, 31, 22, 30)),
        (b"Wed, 17 Jul 96 02:23:25 PDT", utc(1996, 7, 17, 9, 23, 25)),
        (b"17 Jul 103 02:23:25 GMT", utc(2003, 7, 17, 2, 23, 25)),
        (b"17 jul 20 02:23:25 UT", utc(2020, 7, 17, 2, 23, 25)),
        (b"Wed,\r\n 17 (the day) Jul 1996 02:23:25 Z", utc(1996, 7, 17, 2, 23, 25)),
        (b"17-Jul-1996 02:23:25 -0700", utc(1996, 7, 17, 9, 23, 25)),
        (b"Wed Jul 17 02:23:25 1996", utc(1996, 7, 17, 2, 23, 25)),
        (b"Wed Jul 17 02:23:25 PDT 1996", utc(1996, 7, 17, 9, 23, 25)),
        (b"29 Feb 2000 23:59:60 +0000", utc(2000, 3, 1)),
        (b"17 Jul 1996 02:23:25", utc(1996, 7, 17, 2, 23, 25)),
        (b"17 Jul 1996 02:23:25 +9999", utc(1996, 7, 17, 2, 23, 25)),
        (b"17 Jul 1996 25:61:00 +0000", utc(1996, 7, 17)),
        (b"17 Jul 1996", utc(1996, 7, 17)),
        (b"Wednesday, 17 July 1996 02:23:25 +02:00", utc(1996, 7, 17, 0, 23, 25)),
        (b"31 Dec 1969 23:59:59 +0000", -1),
    ],
)
def test_a_date_is_read(value, seconds):
    assert sent_date(value).utc == seconds


@pytest.mark.parametrize(
    "value",
    [None, b"", b"yesterday", b"30 Feb 2020 00:00:00 +0000", b"0 Jan 2020", b"1 Foo 2020 00:00:00 +0000", b"1"],
)
def test_what_is_no_date_is_none(value):
    assert sent_date(value) is None


def test_the_day_is_the_one_written_whatever_the_zone():
    assert sent_date(b"1 Jan 1970 23:00:00 -0800").day == 0
    assert sent_date(b"Thu, 2 Jan 1970 00:00:00 +0900").day == 1


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (b" <a@b>\r\n\t<c@d> junk <>", (b"a@b", b"c@d")),
        (b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', (b"01KF8JCEOCBS0045PS@xxx.yyy.com",)),
        (b"<a\r\n @b>", (b"a@b",)),
        (b"none at all", ()),
        (None, ()),
        (b"<" + b"x" * 1200 + b">", ()),
        (b"<<a@b>>", (b"a@b",)),
    ],
)
def test_message_ids_are_found(value, ids):
    assert message_ids(value) == ids


def test_of_too_many_ids_the_root_and_the_nearest_stay():
    found = message_ids(b"".join(b"<%d@x>" % number for number in range(5000)))
    assert len(found) == MAX_IDS
    assert (found[0], found[1], found[-1]) == (b"0@x", b"4801@x", b"4999@x")


def test_ancestors_are_references_or_else_the_first_reply():
    assert ancestors(pick(b"References: <a@b>\r\nIn-Reply-To: <c@d>\r\n")) == (b"a@b",)
    assert ancestors(pick(b"References: none\r\nIn-Reply-To: <c@d> <e@f>\r\n")) == (b"c@d",)
    assert ancestors(pick(b"")) == ()


def test_the_id_of_a_message_may_lack_its_brackets():
    assert message_id(pick(b"Message-ID: <a@b> x\r\n")) == b"a@b"
    assert message_id(pick(b"Message-ID: a@b\r\n")) == b"a@b"
    assert message_id(pick(b"Subject: x\r\n")) == b""


@pytest.mark.parametrize(
    ("value", "mailbox", "display"),
    [
        (b" Ada <ada@b.c>, x@y", "ada", "Ada"),
        (b"ada@b.c", "ada", "ada@b.c"),
        (b'"Love, Ada" <ada@b.c>', "ada", "Love, Ada"),
        (b"=?utf-8?q?Ad=C3=A9?= <ada@b.c>", "ada", "Adé"),
        (b"ada@b.c (Ada L)", "ada", "Ada L"),
        (b"Friends: a@b, c@d;", "a", "Friends"),
        (b"undisclosed-recipients:;", "undisclosed-recipients:;", "undisclosed-recipients:;"),
        (b"Jos\xc3\xa9 <j@b>", "j", "José"),
        (b"nobody here", "nobody here", "nobody here"),
        (b"ada", "ada", "ada"),
        (b"", "", ""),
        (None, "", ""),
    ],
)
def test_the_first_address_is_what_is_sorted_by(value, mailbox, display):
    assert first_address(value) == (mailbox, display)
