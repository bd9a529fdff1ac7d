"""URLs of CATENATE."""

import pytest
from conformance.imap_runner import Connection, House

from penfold.access.imap.urls import octets_of, read


@pytest.mark.parametrize(
    ("url", "mailbox", "uid", "partial"),
    [
        ("/INBOX/;UID=7", "INBOX", 7, None),
        ("/a/b;UIDVALIDITY=9/;UID=7/;SECTION=1.2.MIME", "a/b", 7, None),
        ("/;UID=7/;SECTION=TEXT", "", 7, None),
        ("imap://host/INBOX/;uid=7/;section=HEADER/;partial=5.10", "INBOX", 7, (5, 10)),
        ("/B%C3%BCcher/;UID=1/;PARTIAL=3", "Bücher", 1, (3, 1 << 62)),
    ],
)
def test_a_url_names_octets_of_a_message(url, mailbox, uid, partial):
    named = read(url)
    assert (named.mailbox, named.uid, named.section.partial) == (mailbox, uid, partial)


@pytest.mark.parametrize(
    "url",
    [
        *("", "/", "/INBOX", "/INBOX/;UID=0", "/INBOX/;UID=x", "http://x/;UID=1", "/INBOX/;UID=1/;SECTION=1]"),
        *("/%FF/;UID=1", "/INBOX/;UID=1;URLAUTH=anonymous", "/" + "a/" * 5000),
    ],
)
def test_what_is_no_url_of_a_message_is_none(url):
    assert read(url) is None


@pytest.mark.parametrize(
    ("url", "octets"),
    [
        ("/INBOX/;UID=1/;SECTION=TEXT", b"At four?\r\n"),
        ("imap://imap.test/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=3.4", b"four"),
        ("/INBOX/;UID=3/;SECTION=1", b"Hello"),
        ("/INBOX/;UID=3/;SECTION=7", None),
        ("/INBOX;UIDVALIDITY=1/;UID=1", None),
        ("imap://elsewhere.test/INBOX/;UID=1", None),
        ("/nowhere/;UID=1", None),
        ("/INBOX/;UID=9", None),
        ("/;UID=1", None),
    ],
)
def test_a_url_gives_what_the_client_could_fetch_itself(url, octets):
    house = House()
    connection = Connection(house).log_in()
    assert house.runner.run(octets_of(connection.session.client, url)) == octets
    house.close()
