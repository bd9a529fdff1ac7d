"""Command lines without a shell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.transport.mailers.command import CommandError, CommandLine, parse_command


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("/bin/cat", ("/bin/cat",)),
        ("  /bin/cat  -u\t-v ", ("/bin/cat", "-u", "-v")),
        ("cat 'a b' \"c d\"", ("cat", "a b", "c d")),
        (r"cat a\ b \'", ("cat", "a b", "'")),
        (r'cat "a\"b\\c\d"', ("cat", r'a"b\c\d')),
        ("cat ''", ("cat", "")),
        ("cat a'b'\"c\"", ("cat", "abc")),
        ("cat ';|$`' \\$HOME", ("cat", ";|$`", "$HOME")),
        ("cat # bob", ("cat",)),
        ("cat a#b", ("cat", "a#b")),
    ],
)
def test_words_are_split_as_a_shell_would_split_them(text, arguments):
    assert parse_command(text) == CommandLine(arguments)


def test_the_frame_of_procmails_manual_is_taken_off():
    text = "IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #joe"
    assert parse_command(text) == CommandLine(("/usr/bin/procmail", "-f-"), 75)


@pytest.mark.parametrize(
    "text",
    ["a;b", "a | b", "a>b", "a < b", "a $HOME", "a `b`", "(a)", "a & b", "a || exit many", "a || true", '"$HOME"'],
)
def test_what_needs_a_shell_is_refused(text):
    with pytest.raises(CommandError):
        parse_command(text)


@pytest.mark.parametrize("text", ["", "   ", "#x", "'a", '"a', "a\\", "''", "a\0b", "exec", "x" * 5000])
def test_what_is_no_command_is_refused(text):
    if text == "exec":
        assert parse_command(text).arguments == ("exec",)
        return
    with pytest.raises(CommandError):
        parse_command(text)


@given(st.text(max_size=200))
def test_any_text_gives_arguments_or_a_command_error(text):
    try:
        line = parse_command(text)
    except CommandError:
        return
    assert line.arguments[0]
    assert all("\0" not in argument for argument in line.arguments)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="'\0", codec="utf-8"), max_size=20), min_size=1))
def test_quoted_words_come_back_as_they_were(words):
    words = ["program", *words]
    assert parse_command(" ".join(f"'{word}'" for word in words)).arguments == tuple(words)
