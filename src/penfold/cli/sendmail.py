"""``sendmail``: the command every program calls to send mail.

Options as in the original, Postfix and Exim, as far as programs use them. The message goes to the running daemon
through its Unix socket, which knows the sender by its credentials; without a daemon it is left in ``maildrop/``, to be
picked up when one runs. It imports next to nothing: it is started for every message.

PERF: 20 ms of CPU for a message, of which the interpreter's own start is 16.

Standards: RFC 5321 §2.3.1; RFC 3461 §4 (-N, -R, -V); sysexits
Trust: runs as whoever calls it and believes nothing about itself: who the sender is, the daemon asks the kernel.
Durability: with a daemon, exit 0 means durable in its queue; without one, that the file and its name are synced.
"""

from __future__ import annotations

# PERF: the C half of socket is all that is needed; the other half and typing would double the command's start.
import _socket
import os
import sys

from penfold.cli.place import data_directory
from penfold.protocols.pickup.writer import END, chunk, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO, NoReturn

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_OSERR, EX_IOERR, EX_TEMPFAIL = 0, 64, 65, 66, 69, 71, 74, 75
_PIECE = 65536
_KEPT = 16 << 20  # octets
_NOT_RUNNING = "4.3.2"  # the enhanced status of a daemon whose queue is being started again
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


def pieces(source: BinaryIO, *, dots_end: bool) -> Iterator[bytes]:
    """Give the message in pieces; unless ``-i``, a line with a single dot ends it."""
    if not dots_end:
        while piece := source.read(_PIECE):
            yield piece
        return
    held: list[bytes] = []
    size = 0
    for line in source:
        if line in {b".\n", b".\r\n", b"."}:
            break
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def connect(data: str, name: str) -> _socket.socket | None:
    """Connect to the daemon's socket ``name``, if it listens."""
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        link.connect(os.path.join(data, "run", name))
    except OSError:
        link.close()
        return None
    return link


class Kept:
    """A message on its way to the daemon, kept in case the daemon ends before it answers; up to a size."""

    def __init__(self, content: Iterator[bytes]) -> None:
        self._content = content
        self._pieces: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self._size += len(piece)
            if self._size <= _KEPT:
                self._pieces.append(piece)
            yield piece

    def again(self) -> Iterator[bytes] | None:
        """Give it once more, with what was not read yet; None where it is too large."""
        if self._size > _KEPT:
            return None
        self._pieces.extend(self._content)
        return iter(self._pieces)


def send(link: _socket.socket, start: bytes, content: Iterable[bytes]) -> list[str]:
    """Hand the message to the daemon; gives what it says, which is nothing when it ends meanwhile."""
    link.settimeout(600)
    try:
        link.sendall(start)
        for piece in content:
            link.sendall(chunk(piece))
        link.sendall(END)
        link.shutdown(_socket.SHUT_WR)
    except OSError:
        pass  # it may have refused before it heard all: its answer says so, or there is none
    answer = b""
    try:
        while octets := link.recv(4096):
            answer += octets
    except OSError:
        return []
    return answer.decode("utf-8", "replace").splitlines() if answer.endswith(b"\n") else []


def report(lines: list[str]) -> int:
    """Turn the daemon's answer into words and an exit code."""
    for line in lines:
        if not line.startswith("2"):
            sys.stderr.write(f"sendmail: {line}\n")
    final = lines[-1]
    if final.startswith("2"):
        return EX_OK
    return EX_TEMPFAIL if final.startswith("4") else _exit_code(final)


def _exit_code(line: str) -> int:
    status = line[4:9]
    codes = {"5.1.1": 67, "5.1.2": 68, "5.1.3": EX_USAGE, "5.7.1": 77, "5.5.4": EX_USAGE, "5.6.0": EX_DATAERR}
    return codes.get(status, EX_UNAVAILABLE)


def drop(data: str, start: bytes, content: Iterator[bytes]) -> int:
    """Leave the message in ``maildrop/``: written under a temporary name, synced, then given its name.

    SECURITY: O_EXCL and O_NOFOLLOW, mode 0600, a random name; the directory is 1733, so nobody lists or renames the
    files of others. Whoever picks it up believes only the file's owner.
    """
    directory, name = os.path.join(data, "maildrop"), os.urandom(12).hex()
    path = os.path.join(directory, f".{name}")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        sys.stderr.write(
            f"sendmail: no mail system is running, and mail can't be left for it in {directory}: {error.strerror}; "
            "the message was NOT sent\n  hint: start it with: penfold serve\n"
        )
        return EX_TEMPFAIL
    try:
        return _fill(fd, path, os.path.join(directory, name), start, content)
    except BaseException as error:
        os.unlink(path)
        if not isinstance(error, OSError):
            raise
        sys.stderr.write(f"sendmail: cannot write {directory}: {error.strerror}; the message was NOT sent\n")
        return EX_IOERR
    finally:
        os.close(fd)


def _fill(fd: int, path: str, final: str, start: bytes, content: Iterator[bytes]) -> int:
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(start)
        for piece in content:
            file.write(chunk(piece))
        file.write(END)
    os.fsync(fd)
    os.rename(path, final)
    _sync_name(os.path.dirname(final))
    return EX_OK


def _sync_name(directory: str) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        # A directory of mode 1733 can't be opened for reading by its users: syncing everything does as well.
        os.sync()
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def submit(call: Call) -> int:
    """Send a message from standard input."""
    if not call.recipients and not call.from_header:
        usage("no recipients: name some, or use -t to take them from the header")
    fields = list(call.fields)
    fields += [("recipient", recipient) for recipient in call.recipients]
    if call.from_header:
        fields.append(("from-header", "yes"))
    try:
        start = head(fields)
    except ValueError as error:
        usage(str(error))
    content = pieces(sys.stdin.buffer, dots_end=call.dots_end)
    data = data_directory(call.config)
    link = connect(data, "sendmail.sock")
    return drop(data, start, content) if link is None else hand_over(data, link, start, content)


def hand_over(data: str, link: _socket.socket, start: bytes, content: Iterator[bytes]) -> int:
    """Send to the daemon; if its queue is not running, or it ends before it answers, leave the message in the maildrop.

    A message may come twice then, when the daemon had it and could not say so any more; it is never lost.
    """
    kept = Kept(content)
    try:
        lines = send(link, start, kept)
    finally:
        link.close()
    if lines and lines[-1][4:9] != _NOT_RUNNING:
        return report(lines)
    again = kept.again()
    if again is not None:
        return drop(data, start, again)
    sys.stderr.write("sendmail: the mail system ended before it answered; the message may be lost\n")
    return EX_TEMPFAIL


def speak_smtp(call: Call) -> int:
    """Join standard input and output to the daemon's SMTP (``-bs``)."""
    link = connect(data_directory(call.config), "smtp.sock")
    if link is None:
        sys.stdout.write("421 4.3.2 The mail system is not running\r\n")
        return EX_TEMPFAIL
    import select

    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    watched = [link.fileno(), source]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if source in ready:
            octets = os.read(source, _PIECE)
            if octets:
                link.sendall(octets)
            else:
                link.shutdown(_socket.SHUT_WR)
                watched.remove(source)
        if link.fileno() in ready:
            octets = link.recv(_PIECE)
            if not octets:
                return EX_OK
            while octets:
                octets = octets[os.write(sink, octets) :]


def _become_daemon(call: Call) -> NoReturn:
    """Run the mail host as ``-bd`` asks; what starts us wants us in the foreground (systemd, a container) or not."""
    words = ["penfold", "serve", *(["--config", call.config] if call.config else [])]
    os.execvp(words[0], words)  # noqa: S606


def run(call: Call) -> int:
    """Do what the command line asks for; the exit code."""
    if call.mode in "dDl":
        _become_daemon(call)
    if call.mode == "s":
        return speak_smtp(call)
    if call.mode == "m" and call.flush is None:
        return submit(call)
    from penfold.cli import mailq

    if call.mode == "p":
        return mailq.listing(call.config)
    if call.mode == "i":
        return mailq.order({"do": "aliases"}, call.config)
    if call.mode in "vt":
        return mailq.verify(call.recipients, call.config)
    if call.mode in "hH":
        return EX_OK  # the memory of dead hosts is the queue manager's own, and short
    return mailq.order({"do": "flush", "selection": call.flush or {}}, call.config)


def main(arguments: list[str] | None = None, name: str = "") -> int:
    """Run the command; returns the exit code (sysexits)."""
    name = name or os.path.basename(sys.argv[0]).removeprefix("penfold-")
    call = parse(sys.argv[1:] if arguments is None else arguments, name)
    try:
        return run(call)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_IOERR


if __name__ == "__main__":
    raise SystemExit(main())
