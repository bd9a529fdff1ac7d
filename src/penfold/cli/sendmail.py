"""``sendmail``: the command every program calls to send mail.

Options as in the original, as far as programs use them. The message goes to the running daemon through its Unix socket,
which knows the sender by its credentials; without a daemon it is left in ``maildrop/``, to be picked up when one runs.
It imports next to nothing: it is started for every message.

Standards: RFC 5321 §2.3.1; sysexits
Trust: runs as whoever calls it and believes nothing about itself: who the sender is, the daemon asks the kernel.
Durability: with a daemon, exit 0 means durable in its queue; without one, that the file and its name are synced.
"""

import os
import socket
import sys
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from penfold.protocols.pickup.writer import END, chunk, head

EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_OSERR, EX_IOERR, EX_TEMPFAIL = 0, 64, 65, 66, 69, 71, 74, 75
_PIECE = 65536
_MODES = {"m", "s", "p", "d", "D", "i", "v", "t", "a", "h", "H"}
_TAKES_ARGUMENT = frozenset("BCDFNOPRVXLfhrpoMqbdAGU")
# Letters whose argument may be missing or must be attached (-oi, -q30m, -bs, -d0.1, -G, -U take none).
_ATTACHED_ONLY = frozenset("bdoqpAGU")

USAGE = """\
usage: sendmail [-t] [-i] [-f sender] [-F name] [-N dsn] [-R full|hdrs] [-V envid] [-B type] [recipient ...]
       sendmail -bs            speak SMTP on standard input and output
       sendmail -bp            list the queue (mailq)
       sendmail -bi            check the aliases (newaliases)
       sendmail -q             try everything in the queue now
"""


class Call:
    """What the command line asks for."""

    def __init__(self) -> None:
        self.mode = "m"
        self.dots_end = True
        self.fields: list[tuple[str, str]] = []
        self.recipients: list[str] = []
        self.from_header = False
        self.flush = False
        self.socket = ""


def usage(problem: str) -> NoReturn:
    """Complain and exit."""
    sys.stderr.write(f"sendmail: {problem}\n{USAGE}")
    raise SystemExit(EX_USAGE)


def parse(arguments: list[str], name: str = "sendmail") -> Call:
    """Read the command line as sendmail does: clustered flags, values attached or apart, recipients at the end."""
    call = Call()
    call.mode = {"mailq": "p", "newaliases": "i", "runq": "q", "smtpd": "d"}.get(name, "m")
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        _word(call, word[1:], rest)
    call.recipients = rest
    return call


def _word(call: Call, letters: str, rest: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in _TAKES_ARGUMENT:
            _flag(call, letter)
            continue
        value = letters
        if not value and letter not in _ATTACHED_ONLY:
            if not rest:
                usage(f"option -{letter} needs a value")
            value = rest.pop(0)
        _option(call, letter, value)
        return


def _flag(call: Call, letter: str) -> None:
    if letter == "t":
        call.from_header = True
    elif letter == "i":
        call.dots_end = False
    elif letter not in "nmsvcTEew":  # harmless ones of the original
        usage(f"unknown option -{letter}")


def _option(call: Call, letter: str, value: str) -> None:
    plain = {"F": "full-name", "N": "notify", "R": "ret", "V": "envid", "B": "body"}
    if letter in plain:
        call.fields.append((plain[letter], value))
    elif letter in "fr":
        call.fields.append(("sender", _bare(value)))
    elif letter == "b":
        if value not in _MODES:
            usage(f"unknown mode -b{value}")
        call.mode = value
    elif letter == "q":
        call.flush = True
    elif letter in "oO":
        _set(call, letter, value)


def _set(call: Call, letter: str, value: str) -> None:
    """Obey -oi and -OIgnoreDots; take and ignore the delivery options of a daemon we are not (-odb, -oem …)."""
    name, _, setting = value.partition("=")
    dots = value[:1] == "i" if letter == "o" else name.lower() == "ignoredots"
    if dots:
        call.dots_end = setting.lower() in {"false", "no", "0"}


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


def socket_paths() -> list[str]:
    """Say where the daemon may be listening."""
    told = os.environ.get("PENFOLD_SOCKET")
    return [told] if told else ["/run/penfold/sendmail.sock", "/var/lib/penfold/run/sendmail.sock"]


def maildrop_paths() -> list[str]:
    """Say where mail may be left when there is no daemon."""
    told = os.environ.get("PENFOLD_MAILDROP")
    return [told] if told else ["/var/lib/penfold/maildrop"]


def connect(name: str = "sendmail.sock") -> socket.socket | None:
    """Connect to the daemon's socket ``name``, if it listens."""
    for path in socket_paths():
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.connect(os.path.join(os.path.dirname(path), name) if name != "sendmail.sock" else path)
        except OSError:
            link.close()
        else:
            return link
    return None


def send(link: socket.socket, start: bytes, content: Iterator[bytes]) -> int:
    """Hand the message to the daemon and report what it says."""
    try:
        link.settimeout(600)
        link.sendall(start)
        for piece in content:
            link.sendall(chunk(piece))
        link.sendall(END)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while octets := link.recv(4096):
            answer += octets
    except OSError as error:
        sys.stderr.write(f"sendmail: the mail system went away: {error.strerror}; the message was NOT sent\n")
        return EX_TEMPFAIL
    return report(answer.decode("utf-8", "replace").splitlines())


def report(lines: list[str]) -> int:
    """Turn the daemon's answer into words and an exit code."""
    if not lines:
        sys.stderr.write("sendmail: the mail system did not answer; the message was NOT sent\n")
        return EX_TEMPFAIL
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


def drop(start: bytes, content: Iterator[bytes]) -> int:
    """Leave the message in ``maildrop/``: written under a temporary name, synced, then given its name.

    SECURITY: O_EXCL and O_NOFOLLOW, mode 0600, a random name; the directory is 1733, so nobody lists or renames the
    files of others. Whoever picks it up believes only the file's owner.
    """
    for directory in maildrop_paths():
        name = os.urandom(12).hex()
        path = os.path.join(directory, f".{name}")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            problem = error
            continue
        try:
            return _fill(fd, path, os.path.join(directory, name), start, content)
        except OSError as error:
            os.unlink(path)
            sys.stderr.write(f"sendmail: cannot write {directory}: {error.strerror}; the message was NOT sent\n")
            return EX_IOERR
        finally:
            os.close(fd)
    sys.stderr.write(
        f"sendmail: no mail system is running, and mail cannot be left for it in {maildrop_paths()[0]}: "
        f"{problem.strerror}; the message was NOT sent\n"
        "  hint: start it with: penfold serve\n"
    )
    return EX_TEMPFAIL


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
    link = connect()
    return drop(start, content) if link is None else send(link, start, content)


def speak_smtp() -> int:
    """Join standard input and output to the daemon's SMTP (``-bs``)."""
    link = connect("smtp.sock")
    if link is None:
        sys.stdout.write("421 4.3.2 The mail system is not running\r\n")
        return EX_TEMPFAIL
    import select

    source, sink = sys.stdin.buffer, sys.stdout.buffer
    watched: list[int] = [link.fileno(), source.fileno()]
    while link.fileno() in watched:
        ready, _, _ = select.select(watched, [], [])
        if source.fileno() in ready:
            octets = os.read(source.fileno(), _PIECE)
            if octets:
                link.sendall(octets)
            else:
                link.shutdown(socket.SHUT_WR)
                watched.remove(source.fileno())
        if link.fileno() in ready:
            octets = link.recv(_PIECE)
            if not octets:
                break
            sink.write(octets)
            sink.flush()
    return EX_OK


def main(arguments: list[str] | None = None, name: str = "") -> int:
    """Run the command; returns the exit code (sysexits)."""
    name = name or os.path.basename(sys.argv[0]).removeprefix("penfold-")
    call = parse(sys.argv[1:] if arguments is None else arguments, name)
    if call.mode == "p":
        from penfold.cli.mailq import listing

        return listing()
    if call.flush or call.mode == "q":
        from penfold.cli.mailq import order

        return order("flush")
    if call.mode == "i":
        from penfold.cli.mailq import order

        return order("aliases")
    if call.mode == "s":
        return speak_smtp()
    if call.mode in {"d", "D"}:
        os.execvp("penfold", ["penfold", "serve"])  # noqa: S606
    return submit(call)


if __name__ == "__main__":
    raise SystemExit(main())
