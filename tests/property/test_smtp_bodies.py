"""Bodies through our client: never a bare CR or LF, never a wrong dot, and what the server reads is what was sent."""

import re

import pytest
from conformance.smtp_runner import Application
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dotted_material import canonical, nasty

from penfold.model import Address
from penfold.protocols.base import NEED_DATA
from penfold.protocols.smtp import (
    Client,
    ClientSettings,
    ForwardPath,
    Server,
    ServerSettings,
    Transaction,
    events,
    steps,
)

TO_ALICE = Transaction(
    reverse_path=Address("ada", "example.org"), recipients=(ForwardPath(Address("alice", "b.test")),)
)


def _deliver(pieces: list[bytes], transaction: Transaction, **options: bool) -> tuple[bytes, bytes, tuple]:
    """Send a body through client and server; returns the wire after the envelope, what arrived, and the verdicts."""
    server = Server(ServerSettings(hostname="mx.test"), clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    client = Client(ClientSettings(hostname="me.test", **options), clock=lambda: 0.0)
    wire, verdicts = b"", ()
    while not client.closed:
        client.receive_data(server.data_to_send())
        while (event := client.next_event()) is not NEED_DATA:
            match event:
                case steps.Capabilities():
                    client.begin(transaction)
                case steps.TransactionReady():
                    server.receive_data(client.data_to_send())
                    for piece in pieces:
                        client.send_body(piece)
                    client.end_body()
                    wire = client.data_to_send()
                    server.receive_data(wire)
                case steps.Done(replies=replies):
                    verdicts = replies
                    client.quit()
        server.receive_data(client.data_to_send())
        application.turn()
    arrived = b"".join(event.data for event in application.seen if isinstance(event, events.Chunk))
    return wire, arrived, verdicts


@pytest.mark.parametrize("options", [{}, {"chunking": True}, {"pipelining": False}], ids=["data", "bdat", "one by one"])
@settings(max_examples=100, deadline=None)
@given(pieces=nasty)
def test_what_the_server_reads_is_the_body_with_crlf_line_ends(options, pieces):
    pieces = [piece.replace(b"refuse me", b"") for piece in pieces]
    _, arrived, verdicts = _deliver(pieces, TO_ALICE, **options)
    assert arrived == canonical(b"".join(pieces))
    assert [reply.code for reply in verdicts] == [250]


@settings(max_examples=100, deadline=None)
@given(pieces=nasty)
def test_a_binary_body_arrives_octet_for_octet(pieces):
    binary = Transaction(reverse_path=None, recipients=TO_ALICE.recipients, body_type="BINARYMIME")
    _, arrived, verdicts = _deliver(pieces, binary)
    assert arrived == b"".join(pieces)
    assert [reply.code for reply in verdicts] == [250]


texts = st.text(max_size=12)


@settings(max_examples=300, deadline=None)
@given(texts, texts, texts, texts)
def test_no_envelope_can_carry_a_second_command(local, domain, envid, orcpt):
    transaction = Transaction(
        reverse_path=Address(local, domain),
        recipients=(ForwardPath(Address(local, domain), orcpt=f"rfc822;{orcpt}"), TO_ALICE.recipients[0]),
        envid=envid,
    )
    client = Client(ClientSettings(hostname="me.test"), clock=lambda: 0.0)
    client.receive_data(b"220 x\r\n250-x\r\n250-PIPELINING\r\n250-DSN\r\n250 SMTPUTF8\r\n")
    while client.next_event() is not NEED_DATA:
        pass
    client.data_to_send()
    client.begin(transaction)
    lines = client.data_to_send().split(b"\r\n")
    assert [line[:4] for line in lines if line] in (
        [],
        [b"MAIL", b"RCPT", b"RCPT", b"DATA"],
    )
    assert not any(re.search(rb"[\r\n\x00]", line) for line in lines)
