"""Write a first penfold.toml.

Asks what it must know, or takes it from flags (with --yes it asks nothing and uses defaults). For each --account a
password is made, printed once, and its hash put into a secrets file beside the configuration.
"""

import argparse
import os
import secrets
import sys

from penfold.cli.exits import EX_USAGE
from penfold.config.check import check
from penfold.config.load import DEFAULT_PATH, system_hostname
from penfold.config.sections import Roles
from penfold.config.write import Answers, compose, compose_secrets, put


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=_default_file(),
        help="the file to write (for root /etc/penfold/penfold.toml, else ./penfold.toml)",
    )
    parser.add_argument("--hostname", metavar="NAME", help="the full name of this host, as DNS knows it")
    parser.add_argument("--data", metavar="DIR", help="directory of queue, event log and mailboxes")
    parser.add_argument("--listen", metavar="HOST:PORT", action="append", help="where mail from other hosts comes in")
    parser.add_argument("--submissions", metavar="HOST:PORT", action="append", help="where our own users log in (TLS)")
    parser.add_argument("--domain", metavar="NAME", action="append", help="a domain whose accounts are in the file")
    parser.add_argument("--account", metavar="ADDRESS", action="append", help="an account; its password is printed")
    parser.add_argument("--postmaster", metavar="ADDRESS", help="who gets mail for postmaster")
    parser.add_argument("--smart-host", metavar="HOST", help="the host that gets all outgoing mail")
    parser.add_argument("--certificate", metavar="FILE", help='PEM file, or "auto" for a self-signed certificate')
    parser.add_argument("--key", metavar="FILE", help="PEM file of the private key")
    parser.add_argument("--users", action="store_true", help="as root: make the users the roles run as, nothing else")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--force", action="store_true", help="write over a file that is there")


def run(args: argparse.Namespace) -> int:
    """Ask, write, check."""
    if args.users:
        return _make_users(args.config)
    path = os.path.abspath(args.config)
    if os.path.lexists(path) and not args.force:
        print(f"penfold init: {path} is there already\n  hint: --force writes it anew", file=sys.stderr)
        return EX_USAGE
    passwords = {address: secrets.token_urlsafe(12) for address in args.account or ()}
    answers = _answers(args, path, passwords)
    if passwords:
        put(answers.secrets, compose_secrets(answers), mode=0o600, replace=args.force)
    put(path, compose(answers), replace=args.force)
    for address, password in passwords.items():
        print(f"account {address} has the password {password}")
    findings = check(path)
    for finding in findings:
        print(finding, file=sys.stderr)
    print(f"{path} is written.\nNext: penfold config check --config {path}\n      penfold serve --config {path}")
    return 0


def _make_users(path: str) -> int:
    """Make the users that the configuration names, or the usual ones where there is none."""
    from penfold.service.serve import load_apart
    from penfold.service.users import make

    roles = load_apart(os.path.abspath(path))[0].roles if os.path.exists(path) else Roles()
    made = make(roles)
    print(f"made: {', '.join(made)}" if made else "all users are there already")
    return 0


def _default_file() -> str:
    return DEFAULT_PATH if os.geteuid() == 0 else "penfold.toml"


def _answers(args: argparse.Namespace, path: str, passwords: dict[str, str]) -> Answers:
    asking = sys.stdin.isatty() and not args.yes
    root = os.geteuid() == 0
    beside = os.path.dirname(path)
    hostname = args.hostname or _ask(asking, "Full name of this host", system_hostname())
    return Answers(
        hostname=hostname,
        data=args.data or _ask(asking, "Data directory", "/var/lib/penfold" if root else f"{beside}/var"),
        listen=tuple(args.listen or [_ask(asking, "Take mail in at", "127.0.0.1:25" if root else "127.0.0.1:2525")]),
        submission=tuple(args.submissions or ()),
        domains=_domains(args),
        postmaster=args.postmaster or _ask(asking, "Who gets mail for postmaster (may be empty)", ""),
        smart_host=args.smart_host or "",
        certificate=args.certificate or "",
        key=args.key or "",
        accounts=tuple(passwords),
        passwords=tuple((address, _hashed(password)) for address, password in passwords.items()),
        secrets=f"{beside}/secrets.toml" if passwords else "",
    )


def _domains(args: argparse.Namespace) -> tuple[str, ...]:
    """The domains named, and those of the accounts, each once."""
    of_accounts = [address.rpartition("@")[2].lower() for address in args.account or ()]
    return tuple(dict.fromkeys(name for name in [*(args.domain or ()), *of_accounts] if name != args.hostname))


def _ask(asking: bool, question: str, default: str) -> str:
    if not asking:
        return default
    return input(f"{question} [{default}]: ").strip() or default


def _hashed(password: str) -> str:
    from penfold.directory import passwords

    return passwords.make(password)
