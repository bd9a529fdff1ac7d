"""The command line of ``sendmail``: a call that the pickup format can carry, or usage told with exit code 64."""

import contextlib
import io

from penfold.cli.exits import EX_USAGE
from penfold.cli.sendmail_options import Call, parse
from penfold.cli.submission import pieces
from penfold.protocols.base import NEED_DATA
from penfold.protocols.pickup.reader import Head, Reader
from penfold.protocols.pickup.writer import head

SEEDS: list[bytes] = [
    b"-t\0-i\0-f\0ada@example.org\0-F\0Ada L\0--\0bob@example.net",
    b"-bs\0-oem\0-odb\0-O\0IgnoreDots=true",
    b"-Nsuccess,failure\0-R\0hdrs\0-V\0id\0-B8BITMIME\0x",
    b"-qRfoo*\0-q15m\0-bd\0-bp",
    b"-C/etc/x.toml\0-f<>\0\0a line\n.\nrest",
]
TOKENS = (b"\0-", b"-b", b"-o", b"-X", b"-ti", b"-qI", b"-qS", b"\0--\0", b"never", b"full")
_NAMES = ("sendmail", "mailq", "newaliases", "runq", "\udcff")


def target(data: bytes) -> None:
    """Read the octets as arguments parted by NUL, and as a message on standard input."""
    words = data.decode("utf-8", "surrogateescape").split("\0")
    call = _call(words, _NAMES[len(words) % len(_NAMES)])
    if call is not None:
        with contextlib.suppress(ValueError):
            reader = Reader()
            reader.receive_data(head([*call.fields, *(("recipient", word) for word in call.recipients)]))
            first = reader.next_event()
            assert first is NEED_DATA or isinstance(first, Head)
    assert b"".join(pieces(io.BytesIO(data), dots_end=False)) == data
    assert data.startswith(b"".join(pieces(io.BytesIO(data), dots_end=True)))


def _call(words: list[str], name: str) -> Call | None:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return parse(words, name)
        except SystemExit as end:
            code = end.code
    assert code == EX_USAGE
    return None
