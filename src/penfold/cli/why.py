"""Tell every decision about a message, an address or a client, or what would become of mail.

penfold why A00002100001                  a queue id: the whole story of one message
penfold why '<20260101.1@example.org>'    a Message-ID
penfold why ada@example.org               an address: the newest messages from and to it
penfold why 192.0.2.7                     a client: what it brought, what was refused
penfold why --would ada@example.org       where mail for an address would go now (--from, --user: whose mail)
"""

import argparse
import asyncio
import os
import sys
from typing import Any

import msgspec

from penfold.cli.ask import AskError, ask
from penfold.cli.exits import EX_UNAVAILABLE, EX_USAGE
from penfold.config.load import default_path, load
from penfold.config.sections import Config
from penfold.model import AddressError, Recipient, parse_address
from penfold.telemetry import why
from penfold.telemetry.escape import visible
from penfold.telemetry.sentences import render_steps
from penfold.transport.dispatch.explain import Stop

EX_NOTHING = 1  # as grep: nothing was found


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("question", metavar="WHAT", help="a queue id, a Message-ID, an address, or a client's IP")
    parser.add_argument("--would", action="store_true", help="tell where mail for this address would go now")
    parser.add_argument("--from", metavar="ADDRESS", dest="sender", default="", help="with --would: the reverse-path")
    parser.add_argument("--user", metavar="NAME", default="", help="with --would: the account that sends")
    parser.add_argument("--most", metavar="N", type=int, default=10, help="at most so many messages (%(default)s)")
    parser.add_argument("--config", metavar="FILE", default=default_path(), help="the configuration (%(default)s)")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """Look back, or ahead."""
    config = load(args.config)
    try:
        return _would(args, config) if args.would else _real(args, config)
    except AskError as error:
        print(f"penfold why: {error}", file=sys.stderr)
        return error.code
    except AddressError as error:
        print(f"penfold why: {visible(args.question)} is no address: {error}", file=sys.stderr)
        return EX_USAGE


# -- back


def _real(args: argparse.Namespace, config: Config) -> int:
    found = _explanation(args, config)
    if args.json:
        print(msgspec.json.encode(found).decode())
    else:
        print(why.render(found), end="")
        if not (found.stories or found.refused) and found.kind == "address" and "@" in found.question:
            print(f"What would become of mail for it now: penfold why --would {visible(found.question)}")
    return 0 if found.stories or found.refused else EX_NOTHING


def _explanation(args: argparse.Namespace, config: Config) -> why.Explanation:
    """Read the event log ourselves where we may, else let the daemon do it."""
    if os.access(config.telemetry.events, os.R_OK | os.X_OK):
        return why.explain(config.telemetry.events, args.question, most=args.most)
    line = next(iter(ask(config.data, {"do": "why", "question": args.question, "most": args.most})))
    return msgspec.convert(line, why.Explanation)


# -- ahead


def _would(args: argparse.Namespace, config: Config) -> int:
    recipient = parse_address(args.question)
    request = {"do": "would", "recipient": args.question, "sender": args.sender, "user": args.user}
    try:
        lines = [line for line in ask(config.data, request) if "done" not in line]
    except AskError as error:
        if error.code != EX_UNAVAILABLE:
            raise
        lines = asyncio.run(_computed(config, Recipient(recipient), args))
    if args.json:
        for stop in msgspec.convert(lines, list[Stop]):
            print(msgspec.json.encode(_plain(stop)).decode())
    else:
        print("".join(map(_stop, msgspec.convert(lines, list[Stop]))), end="")
    return 0


async def _computed(config: Config, recipient: Recipient, args: argparse.Namespace) -> list[Any]:
    """Follow the configuration's routing ourselves: no daemon is running."""
    from penfold.service import values
    from penfold.service.compose import House
    from penfold.transport.dispatch.explain import explain

    house = House(config)
    found = await explain(
        house.routing,
        recipient,
        reverse_path=None if args.sender in {"", "<>"} else parse_address(args.sender),
        user=args.user,
        postmaster=values.postmaster(config),
    )
    print("penfold why: no mail system is running; this is what the configuration says", file=sys.stderr)
    plain: list[Any] = msgspec.to_builtins(found.stops)
    return plain


def _plain(stop: Stop) -> dict[str, object]:
    """Give a stop as a program wants to read it."""
    route = stop.route
    return {
        "recipient": str(stop.recipient.address),
        "depth": stop.depth,
        "steps": [{"rule": step.rule, "detail": step.detail, "source": step.source} for step in stop.steps],
        "route": None if route is None else {"mailer": route.mailer, "host": route.host, "user": route.user},
        "reply": None if stop.reply is None else str(stop.reply),
        "children": [str(child) for child in stop.children],
        "via": stop.via,
        "known": stop.known,
    }


def _stop(stop: Stop) -> str:
    indent = "  " * stop.depth
    lines = [f"{indent}{visible(str(stop.recipient.address))}: {_end(stop)}"]
    lines += [f"{indent}    - {detail}" for detail in render_steps(stop.steps)]
    return "\n".join(lines) + "\n"


def _end(stop: Stop) -> str:
    if stop.route is not None:
        route = stop.route
        parts = [("mailer", route.mailer), ("host", route.host), ("user", route.user)]
        return "goes to " + ", ".join(f"{name} {visible(text)}" for name, text in parts if text)
    if stop.reply is not None:
        return f"{'put off' if stop.reply.transient else 'refused'} with {visible(str(stop.reply))}"
    if stop.known:
        return "is served already"
    if not stop.children:
        return f"is thrown away by {visible(stop.via)}"
    return f"becomes {', '.join(visible(str(child)) for child in stop.children)} by {visible(stop.via)}"
