"""Check, show and explain the configuration.

penfold config check              every problem with its line; exit code 78 when there are errors
penfold config show [--changed]   what is in force, or only what differs from the defaults
penfold config explain NAME       what an option or a section means
"""

import argparse
import sys

import msgspec

from penfold.cli.exits import EX_CONFIG
from penfold.config.check import check
from penfold.config.describe import Group, Option, explain, groups
from penfold.config.finding import Finding
from penfold.config.load import default_path, examine
from penfold.config.render import as_plain, as_toml, changes


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="tell everything wrong with the configuration")
    showing = actions.add_parser("show", help="show the configuration in force")
    showing.add_argument("--changed", action="store_true", help="only what differs from the defaults")
    for action in (checking, showing):
        action.add_argument("--config", metavar="FILE", default=default_path(), help="the configuration (%(default)s)")
    explaining = actions.add_parser("explain", help="tell what an option or a section means")
    explaining.add_argument("name", metavar="NAME", nargs="?", help="as limits.message_size or limits; none lists all")
    for action in (checking, showing, explaining):
        action.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """Do the action asked for."""
    return {"check": _check, "show": _show, "explain": _explain}[args.action](args)


def _check(args: argparse.Namespace) -> int:
    findings = check(args.config)
    errors = sum(finding.severity == "error" for finding in findings)
    if args.json:
        _print_json({"file": args.config, "ok": errors == 0, "findings": findings})
    else:
        _print_findings(args.config, findings, errors)
    return EX_CONFIG if errors else 0


def _print_findings(file: str, findings: list[Finding], errors: int) -> None:
    for finding in findings:
        print(finding, file=sys.stderr)
    warnings = len(findings) - errors
    if errors:
        print(f"{file}: {errors} errors, {warnings} warnings: cannot be used", file=sys.stderr)
    else:
        print(f"{file}: can be used" + (f" ({warnings} warnings)" if warnings else ""))


def _show(args: argparse.Namespace) -> int:
    loaded = examine(args.config)
    if loaded.config is None:
        raise loaded.problems[0]
    if args.changed:
        changed = list(changes(loaded.document))
        if args.json:
            _print_json(changed)
        for change in [] if args.json else changed:
            print(f"{change.name} = {change.value}" + (f"  # default {change.default}" if change.default else ""))
    elif args.json:
        _print_json(as_plain(loaded.config))
    else:
        print(as_toml(loaded.config), end="")
    return 0


def _explain(args: argparse.Namespace) -> int:
    if args.name is None:
        if args.json:
            _print_json(list(groups()))
        else:
            print("\n".join(option.name for group in groups() for option in group.options))
        return 0
    found = explain(args.name)
    if args.json:
        _print_json(found)
    elif isinstance(found, Group):
        _print_group(found)
    else:
        _print_option(found)
    return 0


def _print_group(group: Group) -> None:
    print(f"{group.heading}\n{group.doc}\n")
    width = max(len(option.name) for option in group.options)
    for option in group.options:
        print(f"  {option.name:<{width}}  {_default(option)}")


def _print_option(option: Option) -> None:
    print(f"{option.name}\n  {option.doc}\n  value:   {option.kind}\n  default: {_default(option)}")


def _default(option: Option) -> str:
    return "none, must be given" if option.required else option.default


def _print_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
