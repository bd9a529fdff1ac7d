"""Which messages a program may answer, and reading disposition notifications."""

import pytest

from penfold.message.automatic import why_unanswerable
from penfold.message.mdn_reader import parse_mdn
from penfold.model import Address

ADA = Address("ada", "example.test")


@pytest.mark.parametrize(
    "header", [b"", b"Auto-Submitted: no\r\n", b"Auto-Submitted: No (really)\r\n", b"Precedence: urgent\r\n"]
)
def test_mail_of_a_person_may_be_answered(header):
    assert why_unanswerable(b"Subject: List-Id: x\r\n" + header, ADA) == ""


@pytest.mark.parametrize(
    "header",
    [
        b"Auto-Submitted: auto-generated\r\n",
        b"auto-submitted: auto-replied; owner-email=x\r\n",
        b"Precedence: BULK\r\n",
        b"List-Id: <x.example>\r\n",
        b"X: y\r\nlist-unsubscribe : <mailto:x@y>\r\n",
    ],
)
def test_mail_of_programs_and_lists_is_not_answered(header):
    """RFC 3834 §2; RFC 2369; RFC 2919."""
    assert why_unanswerable(header, ADA)


@pytest.mark.parametrize("local", ["owner-list", "list-owner", "list-request", "MAILER-DAEMON", "list-bounces+a=b.c"])
def test_addresses_of_programs_are_not_answered(local):
    assert why_unanswerable(b"", Address(local, "example.test"))
    assert why_unanswerable(b"", None) == "null reverse-path"


MDN = (
    b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nread\r\n"
    b"--b\r\nContent-Type: message/disposition-notification\r\n\r\nReporting-UA: x\r\n"
    b"Final-Recipient: rfc822; bob@example.org\r\nOriginal-Message-ID: <1@h>\r\n"
    b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
)


def test_a_disposition_notification_is_read():
    """RFC 8098 §3.1."""
    mdn = parse_mdn(MDN)
    assert (mdn.final, mdn.message_id) == ("bob@example.org", "<1@h>")
    assert (mdn.action, mdn.sending, mdn.disposition) == ("manual-action", "mdn-sent-manually", "displayed")


def test_what_is_unreadable_is_absent():
    assert parse_mdn(b"Subject: x\r\n\r\n") is None
    assert parse_mdn(MDN.replace(b"manual-action/", b"?")).disposition == ""
