"""Delivery status notifications: for people, for programs, and what comes back."""

import email
import email.policy

import pytest

from penfold.message.dsn import Notifier, Original, Report
from penfold.message.dsn_reader import parse_dsn
from penfold.message.dsn_text import Action, status_of, words_for
from penfold.message.transfer import needs
from penfold.model import Address, BodyType, Envelope, Origin, Recipient, Reply, Return

ADA, BOB = Address("ada", "example.test"), Address("bob", "example.org")
HEADER = b"From: ada@example.test\r\nSubject: Hello Bob\r\nMessage-ID: <1@example.test>\r\n"
NOTIFIER = Notifier(host="mx.example.test", postmaster=Address("postmaster", "example.test"))
UNKNOWN = Reply(550, "5.1.1", ("No such user", "see https://example.org/help"))


def envelope(**changes):
    values = {
        "reverse_path": ADA,
        "arrived": 0.0,
        "size": 500,
        "origin": Origin("ESMTP", "192.0.2.1", helo="client.example"),
        "envid": "QQ=314",
        "message_id": "<1@example.test>",
    }
    return Envelope(**(values | changes))


def report(address=BOB, action=Action.FAILED, reply=UNKNOWN, remote="mx.example.org", **more):
    return Report(recipient=Recipient(address, **more), action=action, reply=reply, remote=remote, attempted=60.0)


def build(*reports, notifier=NOTIFIER, original=None, **changes):
    return notifier.build(
        envelope(**changes),
        reports or (report(),),
        original or Original(header=HEADER),
        date=120.0,
        message_id="<dsn@mx.example.test>",
        queue_id="A1",
    )


def parsed(notification):
    message = email.message_from_bytes(notification.octets, policy=email.policy.SMTP)
    assert not message.defects
    return message


def human(notification):
    return parsed(notification).get_payload()[0].get_content().replace("\r\n", "\n")


def test_the_report_is_a_multipart_report_of_three_parts():
    """RFC 6522 §3; RFC 3464 §2."""
    message = parsed(build())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.get_payload()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert message["To"] == "ada@example.test"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<1@example.test>"
    assert message["Date"] == "Thu, 01 Jan 1970 00:02:00 +0000"


def test_a_person_reads_who_what_the_reply_and_what_to_do():
    text = human(build())
    assert 'with the subject "Hello Bob"' in " ".join(text.split())
    assert "<bob@example.org>" in text
    assert "There is no mailbox of this name there." in text
    assert "550-5.1.1 No such user\n      550 5.1.1 see https://example.org/help" in text
    assert "Check the spelling" in text
    assert "postmaster@example.test" in text


def test_a_program_reads_the_fields_of_the_standard():
    """RFC 3464 §2.2, §2.3; RFC 3461 §6.3."""
    dsn = parse_dsn(build(report(orcpt="rfc822;Bob@Example.org")).octets)
    assert dsn.message["reporting-mta"] == "dns; mx.example.test"
    assert dsn.message["original-envelope-id"] == "QQ=314"
    assert dsn.message["received-from-mta"] == "dns; client.example (192.0.2.1)"
    assert dsn.message["arrival-date"] == "Thu, 1 Jan 1970 00:00:00 +0000"
    assert dsn.message["x-penfold-queue-id"] == "A1"
    (fate,) = dsn.recipients
    assert (fate.final, fate.original, fate.action, fate.status) == (
        "bob@example.org",
        "Bob@Example.org",
        "failed",
        "5.1.1",
    )
    assert fate.remote == "mx.example.org"
    assert fate.diagnostic == "550-5.1.1 No such user 550 5.1.1 see https://example.org/help"
    assert fate.fields["diagnostic-code"].startswith("smtp; ")
    assert fate.fields["last-attempt-date"] == "Thu, 1 Jan 1970 00:01:00 +0000"
    assert dsn.returned == HEADER


def test_without_orcpt_there_is_no_original_recipient_and_our_own_words_are_no_smtp():
    """RFC 3464 §2.3.1, §2.3.6."""
    (fate,) = parse_dsn(build(report(remote="")).octets).recipients
    assert "original-recipient" not in fate.fields
    assert "remote-mta" not in fate.fields
    assert fate.fields["diagnostic-code"].startswith("x-penfold; ")


def test_the_address_is_shown_as_the_sender_typed_it_with_where_it_leads():
    text = human(build(report(original=Address("team", "example.test"))))
    assert "<team@example.test>" in text
    assert "(which leads to <bob@example.org>)" in text


def test_several_fates_in_one_report_the_worst_names_it():
    good = Reply.of(250, "2.0.0", "ok")
    notification = build(report(Address("x", "y.z"), Action.RELAYED, good), report())
    assert parsed(notification)["Subject"] == "Your message could not be delivered"
    assert [fate.action for fate in parse_dsn(notification.octets).recipients] == ["failed", "relayed"]
    assert "passed on to a mail system that will not report back" in " ".join(human(notification).split())


def test_a_delay_says_until_when_we_try_and_that_nothing_need_be_done():
    put_off = Report(
        recipient=Recipient(BOB),
        action=Action.DELAYED,
        reply=Reply.of(451, "4.7.1", "Greylisted"),
        remote="mx.example.org",
        retry_until=432000.0,
    )
    notification = build(put_off)
    assert "We keep trying until Tue, 6 Jan 1970 00:00:00 +0000" in " ".join(human(notification).split())
    (fate,) = parse_dsn(notification.octets).recipients
    assert (fate.status, fate.fields["will-retry-until"]) == ("4.7.1", "Tue, 6 Jan 1970 00:00:00 +0000")


WHOLE = HEADER + b"\r\nthe body\r\n"


def whole(octets):
    return Original(header=HEADER, chunks=lambda: iter([octets[:10], octets[10:]]))


def test_ret_full_brings_the_message_back_with_a_failure():
    """RFC 3461 §4.3; RFC 6522 §3."""
    message = parsed(build(original=whole(WHOLE), ret="FULL"))
    returned = message.get_payload()[2]
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload()[0].get_payload() == "the body\r\n"
    assert "Your message is attached." in human(build(original=whole(WHOLE), ret="FULL"))


@pytest.mark.parametrize(
    ("changes", "reports"),
    [
        ({"ret": "HDRS"}, ()),
        ({"ret": ""}, ()),
        ({"ret": "FULL", "size": 200_000}, ()),
        ({"ret": "FULL"}, (report(action=Action.DELAYED, reply=Reply.of(451, "4.0.0", "x")),)),
    ],
)
def test_only_the_header_comes_back_otherwise(changes, reports):
    """RFC 3461 §4.3; RFC 6522 §4."""
    message = parsed(build(*reports, original=whole(WHOLE), **changes))
    assert message.get_payload()[2].get_content_type() == "text/rfc822-headers"


def test_the_default_of_what_comes_back_is_policy():
    policy = Notifier(host="h", postmaster=ADA, default_return=Return.FULL)
    assert parsed(build(notifier=policy, original=whole(WHOLE))).get_payload()[2].get_content_type() == "message/rfc822"


def test_an_eight_bit_message_comes_back_as_eight_bit_and_a_binary_one_not_at_all():
    eight = build(original=whole(HEADER + b"\r\n\xe9\r\n"), ret="FULL")
    assert eight.body_type is BodyType.EIGHT
    assert parsed(eight)["Content-Transfer-Encoding"] == "8bit"
    assert parsed(eight).get_payload()[2]["Content-Transfer-Encoding"] == "8bit"
    binary = build(original=whole(HEADER + b"\r\n\0\r\n"), ret="FULL")
    assert (binary.body_type, b"\0" in binary.octets) == (BodyType.SEVEN, False)


def test_an_eight_bit_header_comes_back_encoded():
    header = "Subject: Grüße\r\n".encode()
    notification = build(original=Original(header=header))
    assert needs([notification.octets]) is BodyType.SEVEN
    assert parse_dsn(notification.octets).returned == header
    assert "Grüße" in human(notification)


def test_a_long_header_is_cut_at_a_field():
    header = HEADER + b"X-Many: 12345\r\n" * 10_000
    returned = parse_dsn(build(original=Original(header=header)).octets).returned
    assert header.startswith(returned)
    assert 49_000 < len(returned) <= 50_000
    assert returned.endswith(b"\r\n")


def test_addresses_beyond_ascii_are_utf_8_addresses_in_ascii():
    """RFC 6533 §3."""
    jose = Address("jos\u00e9", "example.org")
    notification = build(report(jose, orcpt="utf-8;jos\\x{E9}@example.org"), reverse_path=jose, smtputf8=True)
    assert notification.smtputf8
    assert b"Final-Recipient: utf-8; jos\\x{E9}@example.org\r\n" in notification.octets
    (fate,) = parse_dsn(notification.octets).recipients
    assert (fate.final, fate.original) == ("jos\u00e9@example.org", "jos\u00e9@example.org")


def test_hostile_text_adds_no_line_and_no_field():
    evil = Reply(550, "5.1.1\r\nX: y", ("a\r\nAction: delivered\r\n\r\n--=_", "\u2028b\0"))
    notification = build(
        report(reply=evil, remote="h\r\nStatus: 2.0.0", orcpt="rfc822;a\r\nX: y"),
        envid="1\r\nX: y",
        message_id="<a>\r\nBcc: x@y.z",
        original=Original(header=b"Subject: a\rb\nc\r\n\r\n--x\r\n"),
    )
    assert notification.octets.count(b"\r") == notification.octets.count(b"\n") == notification.octets.count(b"\r\n")
    assert parsed(notification)["Bcc"] is None
    (fate,) = parse_dsn(notification.octets).recipients
    assert (fate.action, "x" in fate.fields) == ("failed", False)


def test_the_chunks_are_the_octets():
    notification = build()
    assert b"".join(notification.chunks(100)) == notification.octets


def test_a_notification_about_mail_without_a_sender_goes_to_whom_the_caller_names():
    boss = Address("boss", "example.test")
    notification = NOTIFIER.build(
        envelope(reverse_path=None), [report()], Original(header=b""), date=0, message_id="<x@y>", to=boss
    )
    assert parsed(notification)["To"] == "boss@example.test"


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        (Action.FAILED, "5.1.1", "5.1.1"),
        (Action.FAILED, "4.4.1", "5.4.1"),
        (Action.DELAYED, "4.2.2", "4.2.2"),
        (Action.DELIVERED, "", "2.0.0"),
        (Action.FAILED, "9.9.9", "5.0.0"),
        (Action.FAILED, "5.1.1.1", "5.0.0"),
        (Action.FAILED, "5.٣.1", "5.0.0"),
    ],
)
def test_the_class_of_a_status_follows_the_action(action, status, expected):
    """RFC 3464 §2.3.4; RFC 3463 §2."""
    assert status_of(action, Reply.of(550, status, "x")) == expected


def test_words_fall_back_from_the_exact_status_to_its_subject_to_any():
    def happened(status):
        return words_for(Action.FAILED, Reply.of(550, status, "")).happened

    assert happened("5.2.2") == "The mailbox is full."
    assert happened("5.7.99").startswith("The mail system there refused the message by policy")
    assert happened("") == "The message was refused."


def test_other_messages_are_no_notifications():
    assert parse_dsn(b"Subject: x\r\n\r\nhello\r\n") is None
