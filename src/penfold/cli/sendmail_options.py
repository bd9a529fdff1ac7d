"""The command line of ``sendmail``, as the original, Postfix and Exim read it, as far as programs use it.

Standards: RFC 3461 §4 (-N, -R, -V)
Trust: the words are the caller's; nothing here is believed of the sender, whom the daemon asks the kernel about.
"""

from __future__ import annotations

import sys

from penfold.cli.exits import EX_USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_NAMES = {"mailq": "p", "newaliases": "i", "runq": "q", "smtpd": "d", "rmail": "m"}
# What may follow -b: m deliver, s SMTP on stdin, p list, i aliases, d D l daemon, v t verify, h H host status.
_MODES = frozenset("mspidDlvthH")
# Letters with a value, attached or apart (as getopt reads them), and those whose value can only be attached.
_VALUED = frozenset("ABCFLMNOQRVXbefhopr")
_ATTACHED = frozenset("dqD")
_FLAGS = frozenset("GIUcimnstTvwx")  # without a value
_NOTIFY = frozenset({"never", "success", "failure", "delay"})

USAGE = """\
usage: sendmail [-t] [-i] [-f sender] [-F name] [-N dsn] [-R full|hdrs] [-V envid] [-B type] [recipient ...]
       sendmail -bs            speak SMTP on standard input and output
       sendmail -bp            list the queue (mailq)
       sendmail -bi            check the aliases (newaliases)
       sendmail -bv address    tell where mail for an address would go
       sendmail -q             try everything in the queue now (-qIid, -qRrecipient, -qSsender: only that)
"""


class Call:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.mode = "m"
        self.dots_end = True
        self.fields: list[tuple[str, str]] = []
        self.recipients: list[str] = []
        self.from_header = False
        self.flush: dict[str, object] | None = None
        self.config = ""


def usage(problem: str) -> NoReturn:
    """Complain and exit."""
    sys.stderr.write(f"sendmail: {problem}\n{USAGE}")
    raise SystemExit(EX_USAGE)


def parse(arguments: list[str], name: str = "sendmail") -> Call:
    """Read the command line as sendmail does: clustered flags, values attached or apart, recipients at the end."""
    call = Call()
    call.mode = _NAMES.get(name, "m")
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        _word(call, word[1:], rest)
    call.recipients = rest
    if call.mode == "q" and call.flush is None:
        call.flush = {}
    return call


def _word(call: Call, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _FLAGS:
            _flag(call, letter)
        elif letter in _ATTACHED:
            _option(call, letter, letters)
            return
        elif letter in _VALUED:
            if not letters and not rest:
                usage(f"option -{letter} needs a value")
            _option(call, letter, letters or rest.pop(0))
            return
        else:
            usage(f"unknown option -{letter}")


def _flag(call: Call, letter: str) -> None:
    """Obey -t, -i and -I; the rest (-m -n -v -G -U …) asks for what is so anyway, or for a daemon we are not."""
    if letter == "t":
        call.from_header = True
    elif letter == "i":
        call.dots_end = False
    elif letter == "I":
        call.mode = "i"


def _option(call: Call, letter: str, value: str) -> None:
    act = _OPTIONS.get(letter)
    if act is not None:
        act(call, value)


def _mode(call: Call, value: str) -> None:
    if value not in _MODES:
        usage(f"there is no mode -b{value} here")
    call.mode = value


def _notify(call: Call, value: str) -> None:
    words = value.lower().split(",")
    if not _NOTIFY.issuperset(words) or (len(words) > 1 and "never" in words):
        usage(f"-N {value}: it is never, or some of success, failure, delay")
    call.fields.append(("notify", value))


def _return(call: Call, value: str) -> None:
    if value.lower() not in {"full", "hdrs"}:
        usage(f"-R {value}: it is full or hdrs")
    call.fields.append(("ret", value))


def _body(call: Call, value: str) -> None:
    if value.upper() not in {"7BIT", "8BITMIME"}:
        usage(f"-B {value}: it is 7bit or 8bitmime")
    call.fields.append(("body", value))


def _queue(call: Call, value: str) -> None:
    """Read -q: alone, with a pattern (I: queue id, R: recipient, S: sender), or with Exim's and sendmail's flags."""
    patterns = {"I": "ids", "R": "recipient", "S": "sender"}
    name, text = patterns.get(value[:1]), value[1:]
    if name and text:
        call.flush = {name: [text] if name == "ids" else f"*{_unglobbed(text)}*"}
    else:
        call.flush = {}


def _unglobbed(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _old_option(call: Call, value: str) -> None:
    """Obey -oi; take and ignore the delivery options of a daemon we are not (-odb, -oem …)."""
    if value[:1] == "i":
        call.dots_end = value[1:].lower() in {"f", "false", "n", "no", "0"}


def _long_option(call: Call, value: str) -> None:
    name, _, setting = value.partition("=")
    if name.strip().lower() == "ignoredots":
        call.dots_end = setting.strip().lower() in {"false", "no", "0"}


def _sender(call: Call, value: str) -> None:
    call.fields[:] = [field for field in call.fields if field[0] != "sender"]
    call.fields.append(("sender", _bare(value)))


def _config(call: Call, value: str) -> None:
    call.config = value


_OPTIONS: dict[str, Callable[[Call, str], None]] = {
    "B": _body,
    "C": _config,
    "F": lambda call, value: call.fields.append(("full-name", value)),
    "N": _notify,
    "O": _long_option,
    "R": _return,
    "V": lambda call, value: call.fields.append(("envid", value)),
    "b": _mode,
    "f": _sender,
    "o": _old_option,
    "q": _queue,
    "r": _sender,
}


def _bare(value: str) -> str:
    """Take ``<ada@example.org>`` or ``ada@example.org`` apart to the address; ``<>`` stays, as the null one."""
    value = value.strip()
    return value[1:-1] or "<>" if value.startswith("<") and value.endswith(">") else value or "<>"
