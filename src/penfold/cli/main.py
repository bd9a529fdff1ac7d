"""The command ``penfold``: a table of sub-commands, of which only the one asked for is imported.

A sub-command is a module of this package with ``configure(parser)`` and ``run(args) -> int``. It returns an exit code
of sysexits.h and raises ConfigError for what an administrator must mend; no command ends in a traceback for bad input.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, cast

import penfold
from penfold.cli.exits import EX_CONFIG, EX_IOERR, EX_NOPERM, EX_OSERR, EX_UNAVAILABLE, EX_USAGE, INTERRUPTED
from penfold.model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Command:
    """One sub-command: its name, its module, what it does in a line, and the group it is listed in."""

    name: str
    summary: str
    group: str

    @property
    def module(self) -> str:
        """Name its module."""
        return f"penfold.cli.{self.name}"


COMMANDS = (
    Command("demo", "a whole mail host on loopback, with accounts and sample mail", "Try it"),
    Command("init", "write a first penfold.toml", "Set it up"),
    Command("config", "check, show and explain the configuration", "Set it up"),
    Command("password", "print the verifier of a password, for the secrets file", "Set it up"),
    Command("serve", "run the mail host", "Run it"),
    Command("status", "what runs, what waits, what was done", "Run it"),
    Command("queue", "list, hold, release, retry, reroute or delete queued mail", "Run it"),
    Command("why", "tell every decision about a message, an address or a queue id", "Ask it"),
)

_EPILOG = """
Start here:
  penfold demo                      try everything, as any user, on ports of your own
  penfold init                      then: penfold config check, penfold serve
  penfold why ada@example.org       what became of mail to and from an address

`penfold COMMAND --help` tells more. The configuration is /etc/penfold/penfold.toml, or what --config or the
environment variable PENFOLD_CONFIG names. Exit codes are those of sysexits.h: 0 is success, 64 a wrong command line,
75 try again, 78 a configuration that cannot be used.
"""


class CommandModule(Protocol):
    """What the module of a sub-command has."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit code."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints end with EX_USAGE and point at the help."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line."""
        self.exit(EX_USAGE, f"{self.prog}: {message}\n  hint: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        return EX_IOERR
    except OSError as error:
        print(f"penfold: {_about(error)}", file=sys.stderr)
        return EX_NOPERM if isinstance(error, PermissionError) else EX_OSERR


def top_parser() -> Parser:
    """Make the parser of the words before the sub-command."""
    parser = Parser(
        prog="penfold",
        usage="penfold [--version] [--help] COMMAND ...",
        description="A complete mail system: mail comes in, is queued on disk, routed, delivered, relayed, explained.",
        epilog=_listing() + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"penfold {penfold.__version__}")
    parser.add_argument("command", metavar="COMMAND", nargs="?", help=argparse.SUPPRESS)
    return parser


def command_parser(command: Command) -> tuple[Parser, CommandModule]:
    """Import a sub-command and make its parser. Raises ModuleNotFoundError where it is not installed."""
    module = cast("CommandModule", importlib.import_module(command.module))
    doc = getattr(module, "__doc__", None) or command.summary
    parser = Parser(
        prog=f"penfold {command.name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.configure(parser)
    return parser, module


def _dispatch(words: list[str]) -> int:
    if not words or words[0].startswith("-"):
        parser = top_parser()
        parser.parse_args(words[:1])
        parser.print_help()
        return 0 if not words else EX_USAGE
    if words[0] == "help":
        return _dispatch([*words[1:2], "--help"])
    command = next((command for command in COMMANDS if command.name == words[0]), None)
    if command is None:
        return _unknown(words[0])
    try:
        parser, module = command_parser(command)
    except ModuleNotFoundError as error:
        if error.name != command.module:
            raise
        print(f"penfold {command.name}: this installation does not have that command", file=sys.stderr)
        return EX_UNAVAILABLE
    return module.run(parser.parse_args(words[1:]))


def _unknown(word: str) -> int:
    near = difflib.get_close_matches(word, [command.name for command in COMMANDS], n=1)
    hint = f"did you mean penfold {near[0]}?" if near else "penfold --help lists the commands"
    print(f"penfold: there is no command {word!r}\n  hint: {hint}", file=sys.stderr)
    return EX_USAGE


def _listing() -> str:
    groups: dict[str, list[Command]] = {}
    for command in COMMANDS:
        groups.setdefault(command.group, []).append(command)
    lines: list[str] = []
    for group, commands in groups.items():
        lines.append(f"{group}:")
        lines += [f"  {command.name:<10}{command.summary}" for command in commands]
    return "\n".join(lines) + "\n"


def _about(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)


if __name__ == "__main__":
    sys.exit(main())
