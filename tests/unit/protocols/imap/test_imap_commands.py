"""What the other commands ask."""

import pytest
from tests.imap_material import read

from penfold.protocols.imap import annotating, linking, listing, mailboxes, notifying, sessions, sharing, storing
from penfold.protocols.imap.fetching import Attribute
from penfold.protocols.imap.listing import Datum
from penfold.protocols.imap.notifying import EventGroup, Happening, Mailboxes, Which
from penfold.protocols.imap.sequence_set import parse_set
from penfold.protocols.imap.status import Kind, Refusal
from penfold.protocols.imap.storing import How


@pytest.mark.parametrize(
    ("verb", "text", "request_"),
    [
        ("LOGIN", ' alice "pass \\"word\\""', sessions.Login(b"alice", b'pass "word"')),
        ("LOGIN", " {5+}\r\nalice {2}\r\n\x01y", sessions.Login(b"alice", b"\x01y")),
        ("AUTHENTICATE", " plain", sessions.Authenticate("PLAIN", None)),
        ("AUTHENTICATE", " PLAIN =", sessions.Authenticate("PLAIN", b"")),
        ("AUTHENTICATE", " PLAIN YWJj", sessions.Authenticate("PLAIN", b"abc")),
        ("ENABLE", " condstore QRESYNC condstore", sessions.Enable(("CONDSTORE", "QRESYNC"))),
        ("ID", " NIL", sessions.Id(None)),
        ("ID", ' ("Name" "x" "os" NIL)', sessions.Id({"name": "x", "os": None})),
        ("COMPRESS", " deflate", sessions.Compress()),
        ("SELECT", " inbox", mailboxes.Select("INBOX")),
        ("EXAMINE", ' "a b"', mailboxes.Select("a b", read_only=True)),
        ("SELECT", " x (CONDSTORE)", mailboxes.Select("x", condstore=True)),
        (
            "SELECT",
            " x (QRESYNC (67890007 90060115194045000 41:211,214:541))",
            mailboxes.Select("x", resync=mailboxes.Resync(67890007, 90060115194045000, parse_set(b"41:211,214:541"))),
        ),
        (
            "SELECT",
            " x (QRESYNC (1 2 1:3 (1,2 5,6)))",
            mailboxes.Select(
                "x",
                resync=mailboxes.Resync(1, 2, parse_set(b"1:3"), parse_set(b"1,2"), parse_set(b"5,6")),
            ),
        ),
        (
            "SELECT",
            " x (QRESYNC (1 2 (1 5)))",
            mailboxes.Select("x", resync=mailboxes.Resync(1, 2, None, parse_set(b"1"), parse_set(b"5"))),
        ),
        ("CREATE", " x", mailboxes.Create("x")),
        ("CREATE", " x (USE (\\drafts \\Sent))", mailboxes.Create("x", ("\\Drafts", "\\Sent"))),
        ("RENAME", " &APw- b", mailboxes.Rename("ü", "b")),
        ("DELETE", " x", mailboxes.Delete("x")),
        ("SUBSCRIBE", " x", mailboxes.Subscribe("x")),
        ("UNSUBSCRIBE", " x", mailboxes.Unsubscribe("x")),
        ("STATUS", " x (messages UIDNEXT DELETED-STORAGE)", None),
        ("LIST", ' "" ""', listing.List("", ("",))),
        ("LIST", " ~/ %/*", listing.List("~/", ("%/*",))),
        (
            "LIST",
            ' (SUBSCRIBED RECURSIVEMATCH) "" (INBOX "a b" c%) RETURN (CHILDREN STATUS (MESSAGES UNSEEN) MYRIGHTS)',
            listing.List(
                "",
                ("INBOX", "a b", "c%"),
                subscribed=True,
                recursive=True,
                return_children=True,
                return_myrights=True,
                status=(Datum.MESSAGES, Datum.UNSEEN),
                extended=True,
            ),
        ),
        (
            "LIST",
            ' "" * RETURN (SPECIAL-USE METADATA ("/shared/x"))',
            listing.List("", ("*",), return_special_use=True, metadata=("/shared/x",), extended=True),
        ),
        ("LIST", ' () "" *', listing.List("", ("*",), extended=True)),
        ("LSUB", ' "" *', listing.Lsub("", "*")),
        ("STORE", " 1:3 +flags (\\SEEN foo)", storing.Store(parse_set(b"1:3"), How.ADD, ("\\Seen", "foo"))),
        ("STORE", " 1 FLAGS.SILENT \\Seen x", None),
        (
            "UID STORE",
            " 1 (UNCHANGEDSINCE 0) -FLAGS.SILENT ()",
            storing.Store(parse_set(b"1"), How.REMOVE, (), silent=True, uid=True, unchanged_since=0),
        ),
        ("UID COPY", " $ x", storing.Copy(parse_set(b"$"), "x", uid=True)),
        ("MOVE", " 1 x", storing.Move(parse_set(b"1"), "x")),
        ("EXPUNGE", "", storing.Expunge()),
        ("UID EXPUNGE", " 1:5", storing.Expunge(parse_set(b"1:5"))),
        ("SETACL", " x bob +lrs", sharing.SetAcl("x", "bob", sharing.Change.ADD, "lrs")),
        ("SETACL", ' x -bob ""', sharing.SetAcl("x", "-bob", sharing.Change.REPLACE, "")),
        ("DELETEACL", " x bob", sharing.DeleteAcl("x", "bob")),
        ("GETACL", " x", sharing.GetAcl("x")),
        ("LISTRIGHTS", " x bob", sharing.ListRights("x", "bob")),
        ("MYRIGHTS", " x", sharing.MyRights("x")),
        ("GETQUOTA", ' ""', sharing.GetQuota("")),
        ("GETQUOTAROOT", " x", sharing.GetQuotaRoot("x")),
        ("SETQUOTA", ' "" (STORAGE 512 message 3)', sharing.SetQuota("", {"STORAGE": 512, "MESSAGE": 3})),
        ("GETMETADATA", ' "" /shared/Comment', annotating.GetMetadata("", ("/shared/comment",))),
        (
            "GETMETADATA",
            " (MAXSIZE 1024 DEPTH infinity) x (/shared/a /private/b)",
            annotating.GetMetadata("x", ("/shared/a", "/private/b"), None, 1024),
        ),
        ("GETMETADATA", " x (DEPTH 1) (/shared/a)", annotating.GetMetadata("x", ("/shared/a",), 1)),
        (
            "SETMETADATA",
            ' x (/private/a NIL /shared/b "v" /shared/c ~{2+}\r\n\0x)',
            annotating.SetMetadata("x", {"/private/a": None, "/shared/b": b"v", "/shared/c": b"\0x"}),
        ),
        ("NOTIFY", " none", notifying.Notify()),
        ("GENURLAUTH", " imap://a/b INTERNAL", linking.GenUrlAuth((("imap://a/b", "INTERNAL"),))),
        ("RESETKEY", "", linking.ResetKey()),
        ("RESETKEY", " x INTERNAL", linking.ResetKey("x", ("INTERNAL",))),
        ("URLFETCH", ' imap://a/b "imap://c"', linking.UrlFetch(("imap://a/b", "imap://c"))),
        ("CANCELUPDATE", ' "a1" "a2"', linking.CancelUpdate((b"a1", b"a2"))),
    ],
)
def test_commands_are_read(verb, text, request_):
    request = read(verb, text)
    if request_ is not None:
        assert request == request_


def test_flags_of_store_come_bare_too():
    assert read("STORE", " 1 FLAGS.SILENT \\Seen x").flags == ("\\Seen", "x")


def test_status_data_come_once_each():
    assert read("STATUS", " x (messages UIDNEXT messages)").data == (Datum.MESSAGES, Datum.UIDNEXT)


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        *(("NOOP", " x"), ("LOGIN", " a"), ("LOGIN", " a b c"), ("LOGIN", "  a b"), ("AUTHENTICATE", " PLAIN !")),
        *(("ENABLE", ""), ("ID", ""), ("ID", ' ("a")'), ("ID", ' ("' + "a" * 31 + '" "b")'), ("COMPRESS", " LZ")),
        *(("SELECT", ""), ("SELECT", " x (FOO)"), ("SELECT", " x (QRESYNC (0 1))"), ("SELECT", " x (QRESYNC (1 1 *))")),
        *(("SELECT", " x (QRESYNC (1 2 (1,2 5)))"), ("CREATE", " x (FOO)"), ("CREATE", " x (USE (Sent))")),
        *(("RENAME", " x"), ("STATUS", " x ()"), ("STATUS", " x (FOO)"), ("LIST", ' ""'), ("LIST", ' (FOO) "" *')),
        *(("LIST", ' (RECURSIVEMATCH) "" *'), ("LIST", ' "" * RETURN (FOO)'), ("LIST", ' "" * FOO ()')),
        *(
            ("STORE", " 1 FLAGS"),
            ("STORE", " 1 FOO ()"),
            ("STORE", " 1 FLAGS (\\Recent)"),
            ("STORE", " 1 (FOO 1) FLAGS ()"),
        ),
        *(
            ("STORE", " x FLAGS ()"),
            ("COPY", " 1"),
            ("UID EXPUNGE", ""),
            ("SETACL", " x bob LRS"),
            ("SETQUOTA", ' "" (x)'),
        ),
        *(("GETMETADATA", " x comment"), ("GETMETADATA", " x /shared/a*"), ("GETMETADATA", " (FOO 1) x /shared/a")),
        *(("SETMETADATA", " x (/shared/a)"), ("URLFETCH", ""), ("URLFETCH", ' "a b"'), ("CANCELUPDATE", " a")),
        *(
            ("LOGIN", ' "a'),
            ("LOGIN", ' "a\\b" x'),
            ("LOGIN", " {5}\r\nabc"),
            ("LOGIN", " a {1}\r\n\0"),
            ("LOGIN", " a ~{1}\r\nb"),
        ),
    ],
)
def test_what_does_not_fit_is_refused_as_bad(verb, text):
    with pytest.raises(Refusal) as refusal:
        read(verb, text)
    assert refusal.value.status.kind is Kind.BAD


def test_a_bad_mailbox_name_is_refused_with_no():
    for verb, text in (("SELECT", " &"), ("LIST", ' "" &x'), ("SELECT", ' "a&b"')):
        with pytest.raises(Refusal) as refusal:
            read(verb, text)
        assert refusal.value.status.kind is Kind.NO
    assert read("SELECT", " &x", utf8=True).mailbox == "&x"
    assert read("SELECT", ' "ü"', utf8=True).mailbox == "ü"
    assert read("LIST", ' "" ü*', utf8=True).patterns == ("ü*",)


def test_secrets_are_not_shown():
    assert "secret" not in repr(sessions.Login(b"a", b"secret"))
    assert "secret" not in repr(sessions.Authenticate("PLAIN", b"secret"))


def test_notify_groups_have_mailboxes_and_events():
    request = read(
        "NOTIFY",
        " SET STATUS (selected (MessageNew (uid BODY.PEEK[]) MessageExpunge FlagChange))"
        " (subtree (a b) (MessageNew MessageExpunge)) (personal (MailboxName SubscriptionChange)) (inboxes NONE)",
    )
    assert request.status
    first, second, third, fourth = request.groups
    assert first.mailboxes == Mailboxes(Which.SELECTED)
    assert first.events == (Happening.MESSAGE_NEW, Happening.MESSAGE_EXPUNGE, Happening.FLAG_CHANGE)
    assert first.items[0] is Attribute.UID
    assert second == EventGroup(
        Mailboxes(Which.SUBTREE, ("a", "b")), (Happening.MESSAGE_NEW, Happening.MESSAGE_EXPUNGE)
    )
    assert third.events == (Happening.MAILBOX_NAME, Happening.SUBSCRIPTION_CHANGE)
    assert fourth == EventGroup(Mailboxes(Which.INBOXES))


@pytest.mark.parametrize(
    "text",
    [
        *(" SET", " FOO", " SET (foo (MessageNew))", " SET (selected (MailboxName))", " SET (subtree-one a NONE)"),
        *(
            " SET (personal (FlagChange))",
            " SET (personal (MessageNew))",
            " SET (personal ())",
            " SET (selected NONE) x",
        ),
        " SET (personal (MessageNew (UID) MessageExpunge))",
        " SET (selected NONE) (selected-delayed NONE)",
    ],
)
def test_bad_notify_is_refused(text):
    with pytest.raises(Refusal) as refusal:
        read("NOTIFY", text)
    assert refusal.value.status.kind is Kind.BAD


def test_an_unknown_event_is_told_with_those_known():
    with pytest.raises(Refusal) as refusal:
        read("NOTIFY", " SET (personal (Foo))")
    assert refusal.value.status.code.startswith(b"BADEVENT (MessageNew ")
