"""IMAP URLs: a URL or BadUrl, and what we write we read again."""

import contextlib

from penfold.protocols.imap.urls import BadUrl, parse_url, render_url

SEEDS: list[bytes] = [
    b"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred:internal:91354a473744909de610943775f92038",
    b"imap://example.com:1143/%E5%8F%B0;UIDVALIDITY=3/;UID=9/;PARTIAL=1.10",
    b"/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=HEADER;EXPIRE=2026-11-23T00:00:00Z;URLAUTH=anonymous",
    b"imap://;AUTH=*@[::1]/a%2Fb/;UID=4294967295",
]
TOKENS = (b";UID=", b";SECTION=", b"/;", b"%", b";EXPIRE=", b";URLAUTH=", b";PARTIAL=", b"imap://", b"@", b":")


def target(data: bytes) -> None:
    """Read the octets as a URL."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(BadUrl):
        parse_url(text)
    mailbox = "".join(letter for letter in text if letter.isalnum() or letter in " &;=%?#@:[]~") or "INBOX"
    found = parse_url(render_url("mail.example.test", "joe", mailbox, uid_validity=1, uid=2))
    assert (found.mailbox, found.uid) == (mailbox, 2), found
