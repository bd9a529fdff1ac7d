"""APOP's digest and timestamp."""

import pytest

from penfold.protocols.pop3 import apop

TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"


def test_the_digest_is_that_of_the_standard():
    """RFC 1939 §7."""
    assert apop.digest(TIMESTAMP, "tanstaaf") == "c4c9334bac560ecc979e58001b3e22fb"
    assert apop.matches(TIMESTAMP, "tanstaaf", "c4c9334bac560ecc979e58001b3e22fb")
    assert not apop.matches(TIMESTAMP, "tanstaaf", "c4c9334bac560ecc979e58001b3e22fc")


def test_a_timestamp_is_found_in_a_greeting():
    assert apop.timestamp_of(f"POP3 server ready {TIMESTAMP}") == TIMESTAMP
    assert apop.timestamp_of(f"{TIMESTAMP} ready") == TIMESTAMP


@pytest.mark.parametrize("text", ["ready", "<>", "<a>", "<a b@c>", "<\u0100@c>", "<a@b@c>", "<" + "x" * 300 + "@c>"])
def test_what_is_no_message_id_is_no_timestamp(text):
    assert apop.timestamp_of(text) == ""
