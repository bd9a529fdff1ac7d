"""Reads what stands in a ``.forward`` or an ``:include:`` file.

Line by line, each a right-hand side of its own (``routing.aliases``): a quoted string ends where its line ends, there
are no continuation lines, and a line whose first character is ``#`` is a comment. Whoever reads the file checks owner,
mode and size first.

Trust: users' own files; anything may stand in them.
"""

from penfold.routing.aliases import MAX_ENTRIES, parse_rhs
from penfold.routing.entries import AliasError, Entry


class ForwardError(AliasError):
    """The file is in error at ``line``.

    Such a file is no instruction: mail waits (4yz) until its owner has mended it, rather than going to the half of it
    that could be read.
    """

    def __init__(self, problem: str, line: int, hint: str = "") -> None:
        super().__init__(f"line {line}: {problem}", hint)
        self.line = line


def parse_forward(data: str | bytes) -> tuple[Entry, ...]:
    """Read the content of a file into its entries, in order; none for an empty one. Raises ForwardError only."""
    entries: list[Entry] = []
    for number, raw in enumerate(_text(data).split("\n"), 1):
        line = raw.rstrip("\r")
        if line.startswith("#") or not line.strip():
            continue
        try:
            entries += parse_rhs(line)
        except AliasError as error:
            raise ForwardError(str(error), number, error.hint) from None
        if len(entries) > MAX_ENTRIES:
            raise ForwardError(f"more than {MAX_ENTRIES} entries", number, "divide the list")
    return tuple(entries)


def _text(data: str | bytes) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ForwardError("the text is not UTF-8", line, "save the file as UTF-8") from None
