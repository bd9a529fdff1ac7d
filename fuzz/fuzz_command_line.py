"""Command lines of aliases and .forward files: arguments fit for execve, or a CommandError; and what programs say."""

from penfold.transport.mailers.command import CommandError, parse_command
from penfold.transport.mailers.exits import outcome_of

SEEDS: list[bytes] = [
    b"/usr/bin/procmail -f- -a 'some one'",
    b"IFS=' ' && exec /usr/bin/procmail -f- || exit 75 #joe",
    b'cat "a\\"b" c\\ d',
    b"5.2.2 Mailbox full\n\x1b[2J\xff",
]


def target(data: bytes) -> None:
    """Read the octets as a command line, and as what a program said."""
    outcome_of(1, data)
    try:
        line = parse_command(data.decode("utf-8", "replace"))
    except CommandError:
        return
    assert line.arguments[0]
    assert not any("\0" in argument for argument in line.arguments)
