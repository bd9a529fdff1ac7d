"""Command lines of aliases and ``.forward`` files, split into arguments without a shell.

Words are parted by blanks; single quotes keep everything, double quotes keep all but backslash escapes, a backslash
keeps the next character. A word that begins with ``#`` ends the line. What only a shell could do (``;``, ``&``, ``|``,
``<``, ``>``, ``$``, a back-quote, parentheses, outside quotes) is an error, said in words.

QUIRK: the frame that procmail's manual gives for ``.forward`` is understood and taken off, because it is everywhere:
``IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #joe``. The number is what an unsuccessful exit becomes.

SECURITY: nothing of the message or the envelope is ever put into a command line.

Trust: administrators' tables and users' own ``.forward`` files; any text gives arguments or a CommandError.
"""

import re

import msgspec

MAX_COMMAND = 4096  # characters
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)"""
    r"""|(?P<operator>\|\||&&|[;&|<>()$`])"""
    r"""|'(?P<single>[^']*)'"""
    r"""|"(?P<double>(?:[^"\\$`]|\\.)*)\""""
    r"""|\\(?P<escaped>.)"""
    r"""|(?P<plain>[^ \t\r\n;&|<>()$`'"\\]+)""",
    re.DOTALL,
)
_IN_DOUBLE = re.compile(r'\\(["\\$`\n])')


class CommandError(ValueError):
    """The text is no command line; the message says why."""


class CommandLine(msgspec.Struct, frozen=True):
    """The arguments; ``on_failure`` replaces any exit status but 0, None keeps it."""

    arguments: tuple[str, ...]
    on_failure: int | None = None


class _Operator(str):
    """A token that a shell would act on."""

    __slots__ = ()


def parse_command(text: str) -> CommandLine:
    """Split a command line. Raises CommandError."""
    if len(text) > MAX_COMMAND:
        raise CommandError(f"the command is longer than {MAX_COMMAND} characters")
    if "\0" in text:
        raise CommandError("the command contains a NUL")
    words = _unframed(_words(text))
    arguments, on_failure = words
    for argument in arguments:
        if isinstance(argument, _Operator):
            raise CommandError(f"{argument!s} needs a shell, and commands run without one; put it into a script")
    if not arguments or not arguments[0]:
        raise CommandError("the command is empty")
    return CommandLine(tuple(arguments), on_failure)


def _words(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    position = 0
    while position < len(text):
        if word is None and text[position] == "#":
            break
        match = _TOKEN.match(text, position)
        if match is None:
            raise CommandError(_complaint(text[position]))
        position = match.end()
        kind = match.lastgroup
        if kind in {"blank", "operator"}:
            if word is not None:
                words.append("".join(word))
                word = None
            if kind == "operator":
                words.append(_Operator(match[0]))
            continue
        word = word or []
        word.append(_IN_DOUBLE.sub(_literally, match["double"]) if kind == "double" else match[kind or 0])
    if word is not None:
        words.append("".join(word))
    return words


def _literally(match: "re.Match[str]") -> str:
    return "" if match[1] == "\n" else match[1]


def _complaint(character: str) -> str:
    if character == "\\":
        return "a backslash stands at the end"
    return f"a quote {character} is not closed, or holds $ or ` (there is no shell to expand them)"


def _unframed(words: list[str]) -> tuple[list[str], int | None]:
    """Take off ``IFS=' ' &&``, ``exec`` and ``|| exit N``."""
    on_failure = None
    if (
        len(words) > 3
        and words[-3] == _Operator("||")
        and words[-2] == "exit"
        and re.fullmatch("[0-9]{1,3}", words[-1])
    ):
        on_failure = min(int(words[-1]), 255)
        words = words[:-3]
    if len(words) > 2 and words[0] == "IFS= " and isinstance(words[1], _Operator) and words[1] in {"&&", ";"}:
        words = words[2:]
    if len(words) > 1 and words[0] == "exec":
        words = words[1:]
    return words, on_failure
