"""IMAP URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.protocols.imap.fetching import Text
from penfold.protocols.imap.urls import BadUrl, parse_url, render_url


def test_a_url_names_a_part_of_a_message():
    url = parse_url(
        "imap://joe;AUTH=*@example.com:1143/a%20b/%C3%BC;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024"
    )
    assert (url.user, url.auth, url.host, url.port) == ("joe", "*", "example.com", 1143)
    assert (url.mailbox, url.uid_validity, url.uid, url.partial) == ("a b/ü", 385759045, 20, (0, 1024))
    assert url.section is not None
    assert url.section.part == (1, 2)


def test_a_relative_url_is_about_the_own_account():
    url = parse_url("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER")  # RFC 4469 §3
    assert (url.host, url.mailbox, url.uid) == ("", "Drafts", 20)
    assert url.section is not None
    assert url.section.text is Text.HEADER
    assert parse_url("inbox/;uid=5").mailbox == "INBOX"


def test_a_signed_url_says_who_may_use_it_until_when():
    rump = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2004-08-01T22:33:44Z;urlauth=submit+fred"
    url = parse_url(rump + ":internal:91354a473744909de610943775f92038")
    assert url.rump == rump
    assert (url.access, url.mechanism, url.token) == ("submit+fred", "INTERNAL", "91354a473744909de610943775f92038")
    assert url.expire == 1091399624
    assert parse_url(rump).rump == rump
    assert parse_url(rump).token == ""


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://example.com/",
            "imap://",
            "imap://h/x;UID=0",
            "imap://h/x/;UID=99999999999",
            "/x/;UID=5/;SECTION=FOO",
        ),
        *(
            "/x;EXPIRE=2004-08-01T22:33:44Z",
            "/x;EXPIRE=never;URLAUTH=anonymous",
            "/%ff",
            "/a%00b",
            "/x?y",
            "/x/;UID=5;FOO=1",
        ),
        "/x;URLAUTH=anonymous:internal:zz",
    ],
)
def test_what_is_no_imap_url_is_refused(text):
    with pytest.raises(BadUrl):
        parse_url(text)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(
        lambda name: not name.endswith("/")
    )
)
def test_what_is_written_is_read_again(name):
    url = parse_url(render_url("h.test", "ada@b", name, uid_validity=7, uid=9))
    assert url.mailbox == ("INBOX" if name.upper() == "INBOX" else name)
    assert (url.user, url.uid_validity, url.uid) == ("ada@b", 7, 9)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text):
    try:
        parse_url("imap://h/" + text)
    except BadUrl:
        return
