"""URLs of CATENATE."""

import pytest

from penfold.access.imap.urls import read


@pytest.mark.parametrize(
    ("url", "mailbox", "uid", "label"),
    [
        ("/INBOX/;UID=7", "INBOX", 7, b"BODY[]"),
        ("/a/b;UIDVALIDITY=9/;UID=7/;SECTION=1.2.MIME", "a/b", 7, b"BODY[1.2.MIME]"),
        ("/;UID=7/;SECTION=TEXT", None, 7, b"BODY[TEXT]"),
        ("imap://host/INBOX/;uid=7/;section=HEADER/;partial=5.10", "INBOX", 7, b"BODY[HEADER]<5>"),
        ("/B%C3%BCcher/;UID=1", "Bücher", 1, b"BODY[]"),
    ],
)
def test_a_url_names_octets_of_a_message(url, mailbox, uid, label):
    named = read(url)
    assert (named.mailbox, named.uid, named.section.label) == (mailbox, uid, label)


@pytest.mark.parametrize(
    "url",
    [
        *("", "/", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=x", "http://x/;UID=1", "/INBOX/;UID=1/;SECTION=1]"),
        *("/%FF/;UID=1", "/INBOX/;UID=1/;SECTION=1%5D%20BODY%5B", "/" + "a/" * 5000),
    ],
)
def test_what_is_no_url_of_a_message_is_none(url):
    assert read(url) is None
