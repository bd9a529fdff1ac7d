"""Whatever comes and however it is cut, the IMAP server core says the same, and stays bounded."""

import re
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.imap_material import Application, door

from penfold.protocols.imap.server import Server

FRAGMENTS = [
    b"a NOOP\r\n",
    b"b LOGIN alice secret\r\n",
    b"c LOGIN {5}\r\n",
    b"c LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n",
    b"alice {6}\r\n",
    b"secret\r\n",
    b"d SELECT inbox\r\n",
    b"d SELECT no\r\n",
    b"d EXAMINE {3+}\r\na b (QRESYNC (1 2 1:5 (1:2 7,9)))\r\n",
    b"e UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (To {4+}\r\nFrom)]<0.9>)\r\n",
    b"f FETCH 5:2,* ALL\r\n",
    b"g STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen foo)\r\n",
    b"h UID SEARCH RETURN (ALL) OR SEEN NOT (FROM x SINCE 1-Feb-1994)\r\n",
    b"h SEARCH CHARSET UTF-8 TEXT {2}\r\n",
    b"\xc3\xa9\r\n",
    b"i APPEND x {12}\r\n",
    b"i APPEND x (\\Seen) {8+}\r\n",
    b"j NOOP\r\n",
    b"i APPEND no {8+}\r\n",
    b"i APPEND x {6000}\r\n",
    b"i APPEND x {6000+}\r\n",
    b"i APPEND {1+}\r\nx CATENATE (URL /a TEXT {3+}\r\nabc URL {3+}\r\nbad TEXT {2}\r\n",
    b"i APPEND x UTF8 (~{3+}\r\nabc)\r\n",
    b" {3+}\r\nabc\r\n",
    b")\r\n",
    b"k IDLE\r\n",
    b"DONE\r\n",
    b"l MOVE 1:3 y\r\n",
    b"m REPLACE 1 x {3+}\r\nabc\r\n",
    b"n COMPRESS DEFLATE\r\n",
    b"o STARTTLS\r\n",
    b"p AUTHENTICATE PLAIN\r\n",
    b"p AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n",
    b"AGFsaWNlAHNlY3JldA==\r\n",
    b"*\r\n",
    b"q ENABLE UIDONLY UTF8=ACCEPT\r\n",
    b"r UNAUTHENTICATE\r\n",
    b"s CLOSE\r\n",
    b't LIST (SUBSCRIBED) "" (a b*) RETURN (STATUS (MESSAGES))\r\n',
    b"u FOO {7+}\r\n",
    b"v CAPABILITY\r\n",
    b"w LOGOUT\r\n",
    b"{99999999999+}\r\n",
    b"~{5}\r\n",
    b"x" * 300,
    b"\r\n",
    b"\r",
    b"\n",
    b'"',
    b"(",
    b" ",
    b"GET / HTTP/1.1\r\n",
]
OPENINGS = [
    b"",
    b"a LOGIN alice secret\r\n",
    b"a LOGIN alice secret\r\nb SELECT x\r\n",
    b"a LOGIN alice secret\r\nb APPEND x {20}\r\n",
    b"a LOGIN alice secret\r\nb IDLE\r\n",
]
conversations = st.builds(
    lambda opening, parts: opening + b"".join(parts),
    st.sampled_from(OPENINGS),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.sampled_from(FRAGMENTS), st.binary(max_size=12)), max_size=25),
)
TIGHT = door(max_line=250, max_literal=100, max_command=400, max_append=100, max_command_before_login=300)
LINE = re.compile(rb"(\*|[^ +]+) (OK|NO|BAD|BYE|CAPABILITY|ENABLED|5 EXISTS)[^\r\n]*\r\n|\+ [^\r\n]*\r\n")


def played(octets, cuts):
    server = Server(TIGHT, clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    application.turn()
    begin = 0
    for cut in [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]:
        application.say(octets[begin:cut])
        assert server.buffered <= 301 + cut - begin
        if server.tls_due:
            break
        begin = cut
    server.receive_eof()
    application.turn()
    return application


@settings(max_examples=300, deadline=None)
@given(conversations, st.lists(st.integers(0, 1500), max_size=30))
def test_any_cutting_gives_the_same_events_and_answers(octets, cuts):
    # What follows STARTTLS or COMPRESS in the same read ends the conversation: there the cuts do count.
    octets = octets.replace(b"STARTTLS", b"STARTTLZ").replace(b"COMPRESS", b"COMPREZZ")
    whole, cut = played(octets, []), played(octets, cuts)
    assert cut.seen == whole.seen
    assert cut.sent == whole.sent


@settings(max_examples=200, deadline=None)
@given(conversations, st.integers(1, 40))
def test_every_answer_is_a_line_and_the_end_comes(octets, step):
    application = played(octets, range(0, len(octets), step))
    at = 0
    if not application.server.compressed:
        while at < len(application.sent):
            match = LINE.match(application.sent, at)
            assert match is not None, application.sent[at : at + 80]
            at = match.end()
    assert application.server.closed or application.server.tls_due


@settings(max_examples=100, deadline=None)
@given(conversations, st.lists(st.integers(0, 1500), max_size=10))
def test_compression_changes_nothing_but_the_octets(octets, cuts):
    octets = octets.replace(b"COMPRESS", b"COMPREZZ").replace(b"UNAUTHENTICATE", b"NOOP")
    logged_in = b"a LOGIN alice secret\r\n"
    plain = played(logged_in + octets, [])
    server = Server(TIGHT, clock=lambda: 0.0)
    server.greet()
    application = Application(server)
    application.say(logged_in)
    application.say(b"a COMPRESS DEFLATE\r\n")
    application.seen.clear()
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH)
    begin = 0
    for cut in [*sorted(min(cut, len(packed)) for cut in cuts), len(packed)]:
        application.say(packed[begin:cut])
        begin = cut
    server.receive_eof()
    application.turn()
    assert application.seen == plain.seen[1:]
