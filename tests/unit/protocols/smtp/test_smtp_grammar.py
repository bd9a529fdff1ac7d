"""Arguments of commands: a table of what is refused, with which status, and what is read."""

import pytest

from penfold.model import Address, Notify
from penfold.protocols.smtp.commands import parse_bdat, parse_mail, parse_rcpt, parse_xclient
from penfold.protocols.smtp.grammar import Refusal, decode_orcpt, decode_xtext, encode_orcpt, parse_path
from penfold.protocols.smtp.settings import ServerSettings

DOOR = ServerSettings(hostname="mx.test", max_size=1000)


@pytest.mark.parametrize(
    ("argument", "code", "status"),
    [
        (b"FROM:<a@b.c> ENVID=", 501, "5.5.4"),
        (b"FROM:<a@b.c> ENVID=" + b"x" * 101, 501, "5.5.4"),
        (b"FROM:<a@b.c> ENVID=+ZZ", 501, "5.5.4"),
        (b"FROM:<a@b.c> ENVID=+FF", 501, "5.5.4"),
        (b"FROM:<a@b.c> AUTH", 501, "5.5.4"),
        (b"FROM:<a@b.c> =x", 501, "5.5.4"),
        (b"FROM:<a@b.c> SIZE", 501, "5.5.4"),
        (b"FROM:<a@b.c> SIZE=-1", 501, "5.5.4"),
        ("FROM:<a@b.c> SIZE=٣".encode(), 501, "5.5.4"),
        (b"FROM:<a@b.c> SIZE=" + b"9" * 30, 501, "5.5.4"),
        (b"FROM:<a@b.c> SIZE=1001", 552, "5.3.4"),
        (b"FROM:<a@b.c> NOTIFY=NEVER", 555, "5.5.4"),
        (b"FROM:<" + b"a" * 65 + b"@b.c>", 501, "5.1.7"),
        (b"FROM:<a@" + b"b." * 130 + b"c>", 501, "5.1.7"),
        (b"FROM:<a@b.c", 501, "5.5.4"),
        (b'FROM:<"a@b.c>', 501, "5.5.4"),
        (b"FROM:", 501, "5.5.4"),
        (b"FROM:<a@b@c>", 501, "5.1.7"),
        (b"FROM:<@a:b:c@d.e>", 501, "5.1.7"),
        (b"FROM:<a%b\xff@c.d>", 553, "5.6.7"),
    ],
)
def test_a_bad_mail_is_refused(argument, code, status):
    with pytest.raises(Refusal) as refused:
        parse_mail(argument, DOOR)
    assert (refused.value.reply.code, refused.value.reply.status) == (code, status)


@pytest.mark.parametrize(
    ("argument", "code", "status"),
    [
        (b"TO:<a@b.c> NOTIFY=SOMETIMES", 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=", 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=rfc822;" + b"x" * 500, 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=rfc822;a+0Ab", 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=utf-8;\\x{110000}", 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=utf-8;\\x{D800}", 501, "5.5.4"),
        (b"TO:<a@b.c> ORCPT=utf-8;\\x{0A}", 501, "5.5.4"),
        (b"TO:<a@b.c> SIZE=3", 555, "5.5.4"),
        (b"TO:<a@b.c> ORCPT", 501, "5.5.4"),
        (b"TO: <>", 501, "5.1.3"),
    ],
)
def test_a_bad_rcpt_is_refused(argument, code, status):
    with pytest.raises(Refusal) as refused:
        parse_rcpt(argument, DOOR, smtputf8=True)
    assert (refused.value.reply.code, refused.value.reply.status) == (code, status)


def test_parameters_are_read():
    mail = parse_mail(b"from:<a@b.c> size=7 body=8bitmime ret=full envid=x+2By auth=q+3Dr@s.t", DOOR)
    assert (mail.size, mail.body, mail.ret, mail.envid, mail.auth) == (7, "8BITMIME", "FULL", "x+y", "q=r@s.t")
    assert parse_mail(b"FROM:<> AUTH=<>", DOOR).auth == "<>"
    rcpt = parse_rcpt(b"TO:<a@b.c> NOTIFY=never ORCPT=utf-8;j\\x{F6}rg@b.c", DOOR, smtputf8=False)
    assert (rcpt.notify, rcpt.orcpt) == (Notify.NEVER, "utf-8;jörg@b.c")


def test_binarymime_needs_chunking():
    door = ServerSettings(hostname="mx.test", extensions=frozenset({"8BITMIME", "BINARYMIME"}))
    with pytest.raises(Refusal):
        parse_mail(b"FROM:<> BODY=BINARYMIME", door)


@pytest.mark.parametrize("argument", [b"", b"x", b"-1", b"1 FIRST", b"1 LAST x", b"9" * 30])
def test_a_bad_bdat_is_refused(argument):
    with pytest.raises(Refusal):
        parse_bdat(argument)


@pytest.mark.parametrize("argument", [b"", b"ADDR", b"FOO=1", b"ADDR=\xff", b"NAME=a+0Ab"])
def test_a_bad_xclient_is_refused(argument):
    with pytest.raises(Refusal):
        parse_xclient(argument)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("<a@B.Example>", Address("a", "b.example")),
        (' <"a>b"@c.d>', Address("a>b", "c.d")),
        (r'<"a\\\"b"@c.d>', Address('a\\"b', "c.d")),
        ("a@b.c", Address("a", "b.c")),
        ('"a b"@c.d', Address("a b", "c.d")),
        ("<@x.y,@[IPv6:::1]:a@b.c>", Address("a", "b.c")),
        ("<>", None),
    ],
)
def test_paths_are_read(text, address):
    assert parse_path(text, sender=True) == (address, "")


def test_codings_refuse_what_is_unprintable():
    for bad in ("a+", "a+1", "a b", "+E4", "+7F"):
        with pytest.raises(Refusal):
            decode_xtext(bad)
    assert encode_orcpt("utf-8;jörg@b.c") == "utf-8;j\\x{F6}rg@b.c"
    with pytest.raises(Refusal):
        decode_orcpt("rfc 822;x")


def test_hostile_arguments_cost_no_more_than_their_length():
    for hostile in ('<"' + '\\"' * 900, "<" + '""' * 900, "<@" + "a,@" * 600, "<" + "a." * 900):
        with pytest.raises(Refusal):
            parse_path(hostile, sender=True)
