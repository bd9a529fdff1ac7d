"""Completion of submissions, sender rights, masquerading, blind copies, loops."""

from penfold.message.addressees import addressees, without_blind
from penfold.message.complete import (
    address_field,
    complete,
    from_addresses,
    masquerade,
    new_message_id,
    sender_address,
)
from penfold.message.header import Header
from penfold.message.loops import delivered_to, hop_refusal
from penfold.model import Address

ADA = Address("ada", "example.test")


def test_missing_fields_are_put_in_front_and_the_rest_stays():
    """RFC 6409 §8."""
    header = b"To: bob@b.c\r\nSubject:  odd   spacing \r\n"
    done = complete(header, date=0, message_id="<1@h>", sender=ADA, name='Ada "L"')
    assert (
        done
        == (b'From: "Ada \\"L\\"" <ada@example.test>\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1@h>\r\n')
        + header
    )


def test_a_whole_header_is_left_as_it_is():
    header = b"from: x\r\ndate: nonsense\r\nmessage-id: broken\r\n"
    assert complete(header, date=0, message_id=new_message_id("1", "h"), sender=ADA) == header


def test_a_name_with_line_ends_makes_no_new_field():
    assert address_field("From", ADA, "x\r\nBcc: evil@b.c").count(b"\n") == 1


def test_from_and_sender_are_read_for_the_rights_check():
    """RFC 6409 §6.1."""
    header = b"From: Ada <ada@Example.Test>, bob@b.c\r\nSubject: x\r\n"
    assert from_addresses(header) == (ADA, Address("bob", "b.c"))
    assert sender_address(header) is None
    assert sender_address(b"Sender: bob@b.c\r\n" + header) == Address("bob", "b.c")
    assert sender_address(b"From: bob@b.c\r\n") == Address("bob", "b.c")
    assert sender_address(b"") is None


def test_masquerading_changes_domains_and_nothing_else():
    header = (
        b'FROM : "A, @host.inside.test" <ada@host.inside.test>\r\n'
        b"To: x@other.test,\r\n\t  ada @ host.inside.test (ada@host.inside.test), root\r\n"
        b"Subject: ada@host.inside.test\r\nCc: Undisclosed:;\r\n"
    )

    def outside(address):
        return address.with_domain("example.test") if address.domain in {"host.inside.test", ""} else address

    assert masquerade(header, outside) == (
        b'FROM : "A, @host.inside.test" <ada@example.test>\r\n'
        b"To: x@other.test,\r\n\t  ada @ example.test (ada@host.inside.test), root@example.test\r\n"
        b"Subject: ada@host.inside.test\r\nCc: Undisclosed:;\r\n"
    )


def test_masquerading_may_replace_the_local_part_too():
    assert masquerade(b"From: A <u1@h.t>\r\n", lambda _: Address("Ada.L", "e.t")) == b"From: A <Ada.L@e.t>\r\n"


def test_addressees_come_from_to_cc_and_bcc():
    header = b"To: a@b.c\r\nBcc: g: d@e.f;\r\nCc: h@i.j\r\nFrom: no@no.no\r\n"
    assert [box.local for box in addressees(header).mailboxes] == ["a", "h", "d"]


def test_resent_fields_alone_count_where_they_stand_and_only_the_newest():
    """RFC 5322 §3.6.6."""
    header = b"Resent-To: new@b.c\r\nResent-To: old@b.c\r\nTo: a@b.c\r\n"
    assert [box.local for box in addressees(header).mailboxes] == ["new"]


def test_blind_copies_are_taken_out_with_their_folds():
    """RFC 5322 §3.6.3."""
    assert without_blind(b"To: a\r\nBCC: x,\r\n y\r\nResent-Bcc: z\r\nX: 1\r\n") == b"To: a\r\nX: 1\r\n"


def test_delivered_to_compares_the_local_part_exactly_and_the_domain_loosely():
    header = b"Subject: x\r\nDELIVERED-TO: ada@EXAMPLE.test\r\n"
    assert delivered_to(header, ADA)
    assert not delivered_to(header, Address("Ada", "example.test"))
    assert not delivered_to(b"Subject: Delivered-To: ada@example.test\r\n", ADA)


def test_a_quoted_local_part_is_recognised():
    odd = Address("a b", "example.test")
    assert delivered_to(b'Delivered-To: "a b"@example.test\r\n', odd)


def test_hops_beyond_the_limit_are_refused_with_5_4_6():
    assert hop_refusal(100) is None
    assert hop_refusal(101).status == "5.4.6"
    assert Header(b"").fields == ()
