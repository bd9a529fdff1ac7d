"""Look at the queue, and give orders about what waits in it.

A pattern is queue ids, or options that must all match. Orders without any pattern are refused; --all means all.

penfold queue list --domain example.org          what waits for a domain
penfold queue show ID                            one message with all its recipients
penfold queue hold --sender '*@spam.example'     keep from delivery (release lets it go)
penfold queue flush                              try everything deferred now
penfold queue route --domain example.org --to 'smtp:[192.0.2.1]:25'
penfold queue edit ID bob@example.org --to rob@example.org
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from penfold.cli.ask import AskError, ask
from penfold.cli.exits import EX_USAGE
from penfold.cli.inquiry import reply_text, safe
from penfold.config.kinds import Duration, Size, Wrong
from penfold.config.load import default_path, load

ORDERS = {
    "hold": ("keep from delivery", "held"),
    "release": ("end a hold", "released"),
    "flush": ("try deferred mail now", "due now"),
    "delete": ("throw away, without a word to the sender", "deleted"),
    "route": ("send another way than routing says", "rerouted"),
}
_STATES = ("ready", "active", "deferred", "held")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list recipients, oldest message first")
    _pattern(listing)
    listing.add_argument("--limit", type=int, default=1000, metavar="N", help="at most so many (%(default)s)")
    showing = actions.add_parser("show", help="show one message with all its recipients")
    showing.add_argument("id", metavar="ID", help="its queue id")
    ordering = []
    for name, (summary, _) in ORDERS.items():
        action = actions.add_parser(name, help=summary)
        _pattern(action)
        ordering.append(action)
        if name == "route":
            action.add_argument(
                "--to", metavar="WAY", default="", help="as smtp:HOST or smtp:[ADDRESS]:PORT; none: end"
            )
    editing = actions.add_parser("edit", help="put other addresses in a recipient's place")
    editing.add_argument("id", metavar="ID", help="its queue id")
    editing.add_argument("recipient", metavar="RECIPIENT", help="an address, or a number as `show` gives it")
    editing.add_argument("--to", metavar="ADDRESS", action="append", required=True, help="may be given again")
    for action in (listing, showing, *ordering, editing):
        action.add_argument("--config", metavar="FILE", default=default_path(), help="the configuration (%(default)s)")
        action.add_argument("--json", action="store_true", help="answer in JSON, a line each")


def _pattern(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="*", help="queue ids")
    parser.add_argument("--sender", metavar="GLOB", default="", help="reverse-path; '<>' is the null one")
    parser.add_argument("--recipient", metavar="GLOB", default="", help="recipient")
    parser.add_argument("--domain", metavar="NAME", default="", help="the recipient's domain")
    parser.add_argument("--lane", metavar="NAME", default="", help="the destination it waits for")
    parser.add_argument("--state", choices=_STATES, action="append", default=[], help="may be given again")
    parser.add_argument("--older", metavar="TIME", default="", help="here for longer than, as 30m or 2d")
    parser.add_argument("--younger", metavar="TIME", default="", help="here for less than")
    parser.add_argument("--larger", metavar="SIZE", default="", help="of at least, as 10MiB")
    parser.add_argument("--smaller", metavar="SIZE", default="", help="of at most")
    parser.add_argument("--all", action="store_true", help="everything in the queue")


def run(args: argparse.Namespace) -> int:
    """Ask or order."""
    data = load(args.config).data
    try:
        request = _REQUESTS[args.action](args)
    except Wrong as error:
        print(f"penfold queue: {error}", file=sys.stderr)
        return EX_USAGE
    if args.action in ORDERS and args.action != "flush" and not (request["selection"] or args.all):
        print(f"penfold queue {args.action}: name what: ids or a pattern, or --all", file=sys.stderr)
        return EX_USAGE
    try:
        answer = ask(data, request)
        return _print_json(answer) if args.json else _SHOWN[args.action](args, answer)
    except AskError as error:
        print(f"penfold queue: {error}", file=sys.stderr)
        return error.code


def selection(args: argparse.Namespace) -> dict[str, object]:
    """Make the pattern of a request. Raises Wrong."""
    duration, size = Duration(""), Size("")
    found: dict[str, object] = {
        "ids": args.ids,
        "sender": args.sender,
        "recipient": args.recipient,
        "domain": args.domain,
        "lane": args.lane,
        "states": args.state,
        "older": duration.read(args.older, "") if args.older else 0,
        "younger": duration.read(args.younger, "") if args.younger else 0,
        "larger": size.read(args.larger, "") if args.larger else 0,
        "smaller": size.read(args.smaller, "") if args.smaller else 0,
    }
    return {name: value for name, value in found.items() if value}


def _list_request(args: argparse.Namespace) -> dict[str, object]:
    return {"do": "list", "selection": selection(args), "limit": 0 if args.all else max(args.limit, 1)}


def _show_request(args: argparse.Namespace) -> dict[str, object]:
    return {"do": "show", "id": args.id}


def _order_request(args: argparse.Namespace) -> dict[str, object]:
    to = {"to": args.to} if args.action == "route" else {}
    return {"do": args.action, "selection": selection(args), **to}


def _edit_request(args: argparse.Namespace) -> dict[str, object]:
    which = {"number": int(args.recipient)} if args.recipient.isdigit() else {"recipient": args.recipient}
    return {"do": "edit", "id": args.id, "addresses": args.to, **which}


def _print_json(answer: Iterator[dict[str, Any]]) -> int:
    for line in answer:
        if "done" not in line:
            print(json.dumps(_plain(line)))
        elif "recipients" in line["done"]:
            print(json.dumps(line["done"]))
    return 0


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    """Give a recipient, or a message with its recipients, as a program wants to read it."""
    if "recipients" in line:
        first = line["recipients"][0] if line["recipients"] else {}
        about = {name: first.get(name) for name in ("sender", "arrived", "size")}
        return {"id": line["id"], **about, "recipients": [_plain(each) for each in line["recipients"]]}
    route = line.get("route")
    texts = {"reply": reply_text(line.get("reply")), "route": ":".join(route[:2]) if route else ""}
    return line | {name: text for name, text in texts.items() if text}


def _print_list(args: argparse.Namespace, answer: Iterator[dict[str, Any]]) -> int:
    del args
    for line in answer:
        if "done" in line:
            _print_end(line["done"])
        else:
            _print_line(line)
    return 0


def _print_end(done: dict[str, Any]) -> None:
    if not done["listed"]:
        print("Nothing in the queue matches.")
    elif done["more"]:
        print("... and more: --limit N or --all shows them", file=sys.stderr)


def _print_line(line: dict[str, Any]) -> None:
    arrived = time.strftime("%Y-%m-%d %H:%M", time.localtime(line["arrived"]))
    size = f"{line['size']:>9}"
    way = f"{safe(line['sender'])} -> {safe(line['recipient'])}"
    print(f"{safe(line['id'])} {line['number']:>3} {line['state']:<8} {arrived} {size} {way}{_waits(line)}")


def _waits(line: dict[str, Any]) -> str:
    parts = []
    if line["state"] == "deferred":
        parts.append(f"attempt {line.get('attempts', 0)}, next {_clock(line.get('due', 0.0))}")
    reason = reply_text(line.get("reply"))
    if reason:
        parts.append(safe(reason))
    return f"  ({'; '.join(parts)})" if parts else ""


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


def _print_shown(args: argparse.Namespace, answer: Iterator[dict[str, Any]]) -> int:
    del args
    for line in answer:
        if "done" not in line:
            first = line["recipients"][0]
            arrived = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first["arrived"]))
            print(f"Message {safe(line['id'])} from {safe(first['sender'])}, {first['size']} octets, arrived {arrived}")
            for recipient in line["recipients"]:
                head = f"  {recipient['number']:>3} {recipient['state']:<8} {safe(recipient['recipient'])}"
                print(head + _waits(recipient) + _by_order(recipient))
    return 0


def _by_order(recipient: dict[str, Any]) -> str:
    route = recipient.get("route")
    return f"  [by order: {safe(':'.join(route[:2]))}]" if route else ""


def _print_count(args: argparse.Namespace, answer: Iterator[dict[str, Any]]) -> int:
    for line in answer:
        count = line["done"]["recipients"]
        word = ORDERS[args.action][1] if args.action in ORDERS else "new"
        print(f"{count} recipient{'s' if count != 1 else ''} {word}")
    return 0


_REQUESTS = {
    "list": _list_request,
    "show": _show_request,
    "edit": _edit_request,
    **dict.fromkeys(ORDERS, _order_request),
}
_SHOWN = {"list": _print_list, "show": _print_shown, "edit": _print_count, **dict.fromkeys(ORDERS, _print_count)}
