"""What ``sendmail -bp``, ``-bv``, ``-bi`` and ``-q`` ask of the daemon, and how the answers look.

The queue comes in the columns people know (``mailq``); ``penfold queue list`` knows patterns and JSON.

Trust: addresses and replies are strangers'; whatever could move a cursor is shown as an escape.
"""

import os
import sys
import time
from typing import Any

from penfold.cli.ask import AskError, ask
from penfold.cli.exits import EX_NOUSER
from penfold.cli.place import data_directory

HEAD = "-Queue ID-----  --Size-- ----Arrival Time---- -Sender/Recipient-------"
_MARKS = {"active": "*", "held": "!"}


def listing(config: str = "") -> int:
    """Print the queue; the exit code."""
    messages: dict[str, list[dict[str, Any]]] = {}
    try:
        for line in ask(data_directory(config), {"do": "list", "limit": 0}, anybody=True):
            if "done" not in line:
                messages.setdefault(line["id"], []).append(line)
    except AskError as error:
        return complain(error)
    if not messages:
        print("Mail queue is empty")
        return 0
    print(HEAD)
    octets = 0
    for lines in sorted(messages.values(), key=lambda lines: (lines[0]["arrived"], lines[0]["id"])):
        octets += lines[0]["size"]
        _message(lines)
    count = len(messages)
    print(f"-- {octets / 1024:.0f} Kbytes in {count} Request{'s' if count != 1 else ''}.")
    return 0


def _message(lines: list[dict[str, Any]]) -> None:
    first = lines[0]
    mark = next((_MARKS[line["state"]] for line in lines if line["state"] in _MARKS), " ")
    arrived = time.strftime("%a %b %d %H:%M:%S", time.localtime(first["arrived"]))
    sender = "MAILER-DAEMON" if first["sender"] == "<>" else safe(first["sender"])
    print(f"{safe(first['id'])}{mark:<2} {first['size']:>8} {arrived}  {sender}")
    told = ""
    for line in sorted(lines, key=lambda line: line["number"]):
        reason = reply_text(line.get("reply"))
        if reason and reason != told:
            print(f"{'(' + safe(reason) + ')':>78}")
            told = reason
        print(f"{'':<48}{safe(line['recipient'])}")
    print()


def reply_text(reply: list[Any] | None) -> str:
    """Write a reply as it came over the wire (code, enhanced status, text)."""
    if not reply:
        return ""
    code, status, lines = reply
    return " ".join(part for part in (str(code), status, *lines) if part)


def safe(text: str) -> str:
    """Escape what has no shape of its own."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)


def order(request: dict[str, object], config: str = "") -> int:
    """Give an order for ``sendmail -q`` and its like; the exit code."""
    try:
        for line in ask(data_directory(config), request):
            if "file" in line:  # newaliases
                facts = f"{line['aliases']} aliases, longest {line['longest']} bytes, {line['octets']} bytes total"
                print(f"{safe(line['file'])}: {facts}")
    except AskError as error:
        return complain(error)
    return 0


def verify(addresses: list[str], config: str = "") -> int:
    """Tell where mail for each address would go (``-bv``); the exit code."""
    code = 0
    for address in addresses:
        try:
            for line in ask(data_directory(config), {"do": "would", "recipient": address}):
                code = max(code, _stop(address, line))
        except AskError as error:
            return complain(error)
    return code


def _stop(asked: str, line: dict[str, Any]) -> int:
    if line.get("route"):
        mailer, host, user = line["route"]
        print(f"{safe(asked)}: deliverable: mailer {safe(mailer)}, host {safe(host) or '-'}, user {safe(user)}")
    elif line.get("reply"):
        print(f"{safe(asked)}: {safe(reply_text(line['reply']))}")
        return EX_NOUSER
    return 0


def complain(error: AskError) -> int:
    """Say what is wrong; the exit code."""
    name = os.path.basename(sys.argv[0]).removeprefix("penfold-")
    print(f"{name}: {error}", file=sys.stderr)
    return error.code
