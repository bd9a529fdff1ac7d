"""STARTTLS, log-in, compression."""

import zlib

import pytest
from tests.imap_material import Application, begin, door

from penfold.protocols.base import NEED_DATA
from penfold.protocols.imap import events
from penfold.protocols.imap.deflate import PIECE
from penfold.protocols.imap.server import Server
from penfold.protocols.imap.verbs import State


def test_after_starttls_all_begins_anew():
    application = begin(log_in=False, clear_login=False, mechanisms=())
    assert application.say(b"a STARTTLS\r\n") == b"a OK Begin TLS negotiation now\r\n"
    assert application.server.tls_due
    application.server.tls_started("TLSv1.3")
    sent = application.say(b"b CAPABILITY\r\nc STARTTLS\r\n")
    assert b"AUTH=PLAIN AUTH=LOGIN\r\n" in sent
    assert b"LOGINDISABLED" not in sent
    assert sent.endswith(b"c BAD TLS is already active\r\n")


@pytest.mark.parametrize("later", [False, True])
def test_what_is_sent_behind_starttls_in_the_clear_is_never_carried_out(later):
    application = begin(log_in=False)
    if later:
        application.say(b"a STARTTLS\r\n")
        sent = application.say(b"b LOGIN mallory x\r\n")
    else:
        sent = application.say(b"a STARTTLS\r\nb LOGIN mallory x\r\n")
    assert sent.startswith(b"* BYE")
    assert application.server.closed
    assert len(application.requests()) == 1


def test_starttls_may_be_off():
    assert begin(log_in=False, starttls=False).say(b"a STARTTLS\r\n") == b"a BAD Unknown command\r\n"


def test_log_in_in_the_clear_is_refused_unless_allowed():
    application = begin(log_in=False, clear_login=False, mechanisms=())
    assert application.say(b"a LOGIN alice secret\r\n").startswith(b"a NO [PRIVACYREQUIRED]")
    assert application.say(b"b AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n").startswith(b"b NO [PRIVACYREQUIRED]")
    assert application.say(b"c AUTHENTICATE FOO\r\n").startswith(b"c NO [CANNOT]")
    assert application.requests() == []


def test_authenticate_with_and_without_an_initial_response():
    application = begin(log_in=False)
    assert application.say(b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n").startswith(b"a OK [CAPABILITY ")
    application = begin(log_in=False)
    assert application.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert application.say(b"AGFsaWNlAHNlY3JldA==\r\n").startswith(b"a OK [CAPABILITY ")
    assert application.server.user == "alice"
    assert application.server.state is State.AUTHENTICATED


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"*\r\n", b"a BAD Authentication cancelled\r\n"),
        (b"!!\r\n", b"a BAD Invalid base64\r\n"),
        (b"AGFsaWNl {8+}\r\nc NOOP\r\n\r\n", b"a BAD Invalid base64\r\n"),
        (b"x" * 13000 + b"\r\n", b"a BAD [TOOBIG] Line too long\r\n"),
        (b"AGFsaWNlAA==\r\n", b"a NO [AUTHENTICATIONFAILED] Authentication failed\r\n"),
    ],
)
def test_an_exchange_that_fails_is_over(octets, answer):
    application = begin(log_in=False)
    application.say(b"a AUTHENTICATE PLAIN\r\n")
    assert application.say(octets) == answer
    assert application.say(b"b NOOP\r\n") == b"b OK NOOP completed\r\n"
    if b"AGFsaWNlAA==" not in octets:
        assert events.AuthResponse(None) in application.seen


def test_unauthenticate_forgets_the_user():
    application = begin()
    application.say(b"a ENABLE CONDSTORE\r\nb SELECT x\r\n")
    assert application.say(b"c UNAUTHENTICATE\r\n").startswith(b"c OK [CAPABILITY ")
    assert application.server.user == ""
    assert application.server.enabled == frozenset()
    assert application.say(b"d SELECT x\r\n") == b"d BAD Log in first\r\n"
    assert application.say(b"e LOGIN alice secret\r\n").startswith(b"e OK")


class Compressed:
    """A client's side of a compressed stream."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.out = zlib.compressobj(wbits=-15)
        self.back = zlib.decompressobj(-15)

    def pack(self, octets: bytes) -> bytes:
        return self.out.compress(octets) + self.out.flush(zlib.Z_SYNC_FLUSH)

    def say(self, octets: bytes) -> bytes:
        return self.back.decompress(self.application.say(self.pack(octets)))


def test_compression_begins_behind_the_answer():
    application = begin()
    assert application.say(b"a COMPRESS DEFLATE\r\n") == b"a OK DEFLATE active\r\n"
    client = Compressed(application)
    assert client.say(b"b NOOP\r\nc SUBSCRIBE {3}\r\n") == b"b OK NOOP completed\r\n+ OK\r\n"
    assert client.say(b"abc\r\nd CAPABILITY\r\n").startswith(b"c OK SUBSCRIBE completed\r\n* CAPABILITY ")
    assert b"COMPRESS" not in client.say(b"e CAPABILITY\r\n")
    assert client.say(b"f COMPRESS DEFLATE\r\n").startswith(b"f NO [COMPRESSIONACTIVE]")


def test_what_is_sent_behind_compress_in_the_same_read_ends_the_conversation():
    application = begin()
    assert application.say(b"a COMPRESS DEFLATE\r\nb NOOP\r\n").startswith(b"* BYE")


def test_a_broken_stream_ends_the_conversation():
    for octets in (b"\xff\xff\xff\xff", zlib.compressobj(wbits=-15).flush() + b"x"):
        application = begin()
        application.say(b"a COMPRESS DEFLATE\r\n")
        application.server.receive_data(octets)
        application.turn()
        assert application.server.closed
        assert application.seen[-1] == events.Closed("bad compression")


def test_a_bomb_is_inflated_in_pieces():
    server = Server(door(max_swallow=64 * 1024 * 1024, max_append=20_000_000), clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    application.say(b"l LOGIN a b\r\na COMPRESS DEFLATE\r\n")
    client = Compressed(application)
    server.receive_data(client.pack(b"b APPEND x {10000000+}\r\n" + bytes(10_000_000) + b"\r\nc NOOP\r\n"))
    largest = total = 0
    while (event := server.next_event()) is not NEED_DATA:
        largest = max(largest, server.buffered)
        if isinstance(event, events.AppendBegin):
            server.go_ahead()
        elif isinstance(event, events.Chunk):
            total += len(event.data)
            largest = max(largest, len(event.data))
        else:
            server.answer()
    assert total == 10_000_000
    assert largest <= 2 * PIECE
    assert server.data_to_send()


def test_a_bomb_that_is_one_line_ends_the_conversation():
    application = begin()
    application.say(b"a COMPRESS DEFLATE\r\n")
    client = Compressed(application)
    assert client.say(bytes(1_000_000)).endswith(b"* BYE [TOOBIG] Line too long to be read\r\n")
