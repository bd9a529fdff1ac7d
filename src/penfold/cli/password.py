r"""Print the verifier of a password, for ``[passwords]`` in the secrets file.

Asks for the password twice, or takes the first line of standard input. The password itself is kept nowhere.

penfold password
printf '%s\n' "$PASSWORD" | penfold password
"""

import argparse
import getpass
import sys

from penfold.cli.exits import EX_DATAERR, EX_USAGE
from penfold.directory import passwords

_LONGEST = 4096


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("address", metavar="ADDRESS", nargs="?", help="print a whole line for this account")
    parser.add_argument("--no-scram", action="store_true", help="leave the verifier for SCRAM-SHA-256 out")


def run(args: argparse.Namespace) -> int:
    """Ask, print."""
    password = _asked() if sys.stdin.isatty() else sys.stdin.readline(_LONGEST).rstrip("\r\n")
    if password is None:
        print("penfold password: the two are not the same", file=sys.stderr)
        return EX_USAGE
    try:
        made = passwords.make(password, scram=not args.no_scram)
    except ValueError as error:
        print(f"penfold password: {error}", file=sys.stderr)
        return EX_DATAERR
    print(f'"{args.address}" = "{made}"' if args.address else made)
    return 0


def _asked() -> str | None:
    first = getpass.getpass("Password: ")
    return first if getpass.getpass("Again: ") == first else None
