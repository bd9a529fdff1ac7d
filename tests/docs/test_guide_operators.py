"""Every command on the pages about the queue and about why is one that the parser takes."""

import re
import shlex
from pathlib import Path

import pytest

from penfold.cli.main import COMMANDS, command_parser

GUIDE = Path(__file__).parents[2] / "docs/guide"
WORDS = [
    line
    for page in ("the-queue.md", "why-did-my-mail.md")
    for block in re.findall(r"^```\n(.*?)^```$", (GUIDE / page).read_text(), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", WORDS)
def test_the_command_is_one_that_exists(line):
    program, name, *words = shlex.split(line)
    assert program == "penfold"
    parser, _ = command_parser(next(command for command in COMMANDS if command.name == name))
    assert parser.parse_args(words)


def test_there_are_commands_on_both_pages():
    assert len(WORDS) > 10
