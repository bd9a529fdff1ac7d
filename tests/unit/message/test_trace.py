"""Trace fields: format, dates, hostile names."""

import datetime as dt
import re

import pytest

from penfold.message.trace import address_literal, delivered_to_field, format_date, received_field, return_path_field
from penfold.model import Address, Origin

ORIGIN = Origin("ESMTPS", "192.0.2.1", 2525, "mail.example.org", tls="TLSv1.3 TLS_AES_256_GCM_SHA384")
BOB = Address("bob", "example.test")


def received(origin=ORIGIN, recipient=BOB, **more):
    return received_field(origin, **({"by": "mx.example.test", "id": "A1", "date": 0.0} | more), recipient=recipient)


def test_a_received_field_names_both_hosts_the_protocol_and_the_recipient():
    """RFC 5321 §4.4; RFC 5322 §3.6.7."""
    assert received() == (
        b"Received: from mail.example.org ([192.0.2.1])\r\n\tby mx.example.test with ESMTPS id A1\r\n"
        b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tfor <bob@example.test>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
    )


def test_without_a_recipient_there_is_no_for_clause():
    assert b"for <" not in received(recipient=None)


def test_a_non_ascii_recipient_is_named_only_when_the_protocol_is_utf8():
    """RFC 6531 §3.7.3."""
    recipient = Address("josé", "example.test")
    assert b"for <" not in received(recipient=recipient)
    assert "for <josé@".encode() in received(Origin("UTF8SMTP", "192.0.2.1"), recipient=recipient)


def test_an_ipv6_client_is_a_tagged_literal():
    assert b"from h.example ([IPv6:2001:db8::1])" in received(Origin("ESMTP", "2001:db8::1", helo="h.example"))
    assert address_literal("not an address") == ""


def test_a_local_submission_names_the_user_and_no_host():
    field = received(Origin("local", user="ada"))
    assert field.startswith(b"Received: by mx.example.test (from user ada) with local id A1\r\n")


@pytest.mark.parametrize(
    "helo", ["a\r\nX: y", "a) by evil (", "\\", "é.example", "a" * 300, "x;y", "<a>", "[1.2.3.4", ""]
)
def test_a_hostile_helo_stays_inside_a_comment(helo):
    field = received(Origin("SMTP", "192.0.2.1", helo=helo))
    assert field.count(b"\n") == field.count(b"\r\n") == len(re.findall(rb"\r\n\t", field)) + 1
    assert field.startswith(b"Received: from [192.0.2.1] ([192.0.2.1])\r\n\t")
    assert field.isascii()
    assert max(map(len, field.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("seconds", [0, 951782400, 1709164800, 1767000000, 4107542399, 253402300799])
def test_dates_agree_with_the_calendar(seconds):
    """RFC 5322 §3.3."""
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    assert format_date(seconds) == f"{when:%a}, {when.day} {when:%b} {when.year:04d} {when:%H:%M:%S} +0000"


def test_dates_outside_the_calendar_are_clamped():
    assert format_date(-5) == "Thu, 1 Jan 1970 00:00:00 +0000"
    assert format_date(1e15) == "Fri, 31 Dec 9999 23:59:59 +0000"


def test_return_path_of_the_null_reverse_path_is_empty_brackets():
    """RFC 5321 §4.4."""
    assert return_path_field(None) == b"Return-Path: <>\r\n"
    assert return_path_field(BOB) == b"Return-Path: <bob@example.test>\r\n"


def test_delivered_to_holds_the_bare_address():
    """RFC 9228 §4."""
    assert delivered_to_field(BOB) == b"Delivered-To: bob@example.test\r\n"
