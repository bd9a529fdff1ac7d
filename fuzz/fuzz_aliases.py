"""Alias files and right-hand sides: an entry or an error with its line, and every entry survives its canonical text."""

from penfold.directory.aliases import read_aliases
from penfold.directory.maps import read_transport, read_virtual
from penfold.model import ConfigError
from penfold.routing.aliases import parse_rhs
from penfold.routing.entries import AliasError, entry_text, parse_entry

SEEDS: list[bytes] = [
    b'postmaster: root,\n\talice\nq: "|/bin/prog -x", /var/file, :include:/list\nowner-list: bob\n"x y": z\n',
    b"Alice (x) <alice@example.org>, \\bob, error:5.7.0:550 no, :fail: gone\n",
    b"info@virtual.test alice, bob@x.test\n@virtual.test %1@other.test\n*  smtp:[m.test]:25\n.x.test error:5.1.2 no\n",
]


def target(data: bytes) -> None:
    """Read the octets as everything an administrator's table may be."""
    text = data.decode("utf-8", "replace")
    for read in (read_aliases, read_virtual, read_transport):
        line = 1
        try:
            read(text, "f")
        except ConfigError as error:
            line = error.line
        assert line
    try:
        entries = parse_rhs(text)
    except AliasError:
        return
    for entry in entries:
        assert parse_entry(entry_text(entry)) == entry
