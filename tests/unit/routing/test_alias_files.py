import pytest

from penfold.model import Address, ConfigError, Reply, parse_address
from penfold.routing.aliases import logical_lines, parse_aliases, parse_rhs
from penfold.routing.entries import AliasError, Discard, Fail, File, Include, Program, To, entry_text, parse_entry


def to(text, final=False):
    return To(parse_address(text), final)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("alice", (to("alice"),)),
        ("alice, bob@example.org", (to("alice"), to("bob@example.org"))),
        (" alice ,,\tbob, ", (to("alice"), to("bob"))),
        ("Alice Liddell <alice@example.org>, bob", (to("alice@example.org"), to("bob"))),
        ('"Liddell, Alice" <alice@example.org>', (to("alice@example.org"),)),
        ("alice (the (real) one, not bob), carol", (to("alice"), to("carol"))),
        ("alice @ example . org", (to("alice@example.org"),)),
        ("\\alice", (to("alice", final=True),)),
        ('\\joe, "|/usr/bin/vacation joe"', (to("joe", final=True), Program("/usr/bin/vacation joe"))),
        ('"\\\\joe"', (to("joe", final=True),)),
        ('"|/bin/prog -x, \\"a b\\""', (Program('/bin/prog -x, "a b"'),)),
        ('|"/usr/bin/vacation joe"', (Program("/usr/bin/vacation joe"),)),
        ("|/bin/prog", (Program("/bin/prog"),)),
        ("\"|IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #joe\"", None),
        ("/var/mail/archive", (File("/var/mail/archive"),)),
        ('"/var/mail/my archive"', (File("/var/mail/my archive"),)),
        ("/home/joe/Maildir/", (File("/home/joe/Maildir/"),)),
        (":include:/etc/mail/list", (Include("/etc/mail/list"),)),
        (":INCLUDE: /etc/mail/list, bob", (Include("/etc/mail/list"), to("bob"))),
        ('":include:/etc/mail/my list"', (Include("/etc/mail/my list"),)),
        ("/C=us/O=x/@gateway.example", (to("/C=us/O=x/@gateway.example"),)),
        ('"|odd"@example.org', (To(Address("|odd", "example.org")),)),
        ('"two words"@example.org', (To(Address("two words", "example.org")),)),
        ("a!b!c", (to("a!b!c"),)),
        ("error:5.7.1:550 Closed, sorry", (Fail(Reply.of(550, "5.7.1", "Closed, sorry")),)),
        (":fail: gone, for good", (Fail(Reply.of(550, "5.1.1", "gone, for good")),)),
        (":fail:", (Fail(Reply.of(550, "5.1.1", "No such user here")),)),
        (":defer: moving house", (Fail(Reply.of(451, "4.3.0", "moving house")),)),
        (":blackhole:", (Discard(),)),
        ("", ()),
        (" , ,", ()),
        ("(nobody)", ()),
    ],
)
def test_a_right_hand_side_is_read_as_its_originals_read_it(text, entries):
    if entries is None:
        entries = (Program("IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #joe"),)
    assert parse_rhs(text) == entries
    assert tuple(parse_entry(entry_text(entry)) for entry in entries) == entries


@pytest.mark.parametrize(
    "text",
    [
        '"open',
        "alice bob",
        "a (b",
        "a) b",
        "<>",
        "a <b> <c>",
        "|",
        '"|"',
        ":include:list",
        "a@",
        "@b",
        "<a",
        "a\\",
        '"|x\ny"',
        ":unknown:x",
        "x@bad domain.example",
        "a@b@c d",
    ],
)
def test_what_cannot_be_read_is_an_alias_error(text):
    with pytest.raises(AliasError):
        parse_rhs(text)


def test_a_missing_comma_is_named_in_the_hint():
    with pytest.raises(AliasError) as caught:
        parse_rhs("alice bob")
    assert "comma" in caught.value.hint


def test_an_address_that_begins_like_a_program_is_written_so_that_it_stays_an_address():
    entry = To(Address("|rm", "example.org"))
    assert entry_text(entry) == '"|rm"@example.org'
    assert parse_entry(entry_text(entry)) == entry


def test_an_alias_file_is_read_with_continuations_comments_and_quotes():
    text = (
        "# comment\n"
        "\n"
        "Postmaster: root,\n"
        "\talice,\n"
        "# in between\n"
        "\n"
        "  bob\n"
        '"two words" : carol\r\n'
        "list: a, \\\n"
        "b\n"
        "MAILER-DAEMON:postmaster\n"
    )
    found = {line.name: (line.line, [entry_text(entry) for entry in line.entries]) for line in parse_aliases(text)}
    assert found == {
        "postmaster": (3, ["root", "alice", "bob"]),
        "two words": (8, ["carol"]),
        "list": (9, ["a", "b"]),
        "mailer-daemon": (11, ["postmaster"]),
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b\nnonsense\n", 2),
        ("a:\n", 1),
        ("  a: b\n", 1),
        ("a: b\n\nc@example.org: d\n", 3),
        ('ok: x\na: b,\n  "open\n', 2),
        (": x\n", 1),
    ],
)
def test_an_error_in_an_alias_file_names_file_line_and_hint(text, line):
    with pytest.raises(ConfigError) as caught:
        list(parse_aliases(text, "/etc/aliases"))
    assert (caught.value.file, caught.value.line) == ("/etc/aliases", line)
    assert caught.value.hint


def test_logical_lines_join_what_belongs_together():
    assert list(logical_lines("a\n b\n\n#x\n c\nd")) == [(1, "a b c"), (6, "d")]
    assert list(logical_lines("")) == []
