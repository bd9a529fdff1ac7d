"""The table ``aliases`` from alias files, in sendmail's and Postfix's format (``routing.aliases``).

Trust: administrators' files.
"""

from collections.abc import Iterator

from penfold.directory.base import MISSING
from penfold.directory.watched import Report, WatchedFile
from penfold.model import ConfigError
from penfold.routing.aliases import parse_aliases
from penfold.routing.base import Answer, Found
from penfold.routing.entries import entry_text


class AliasFile:
    """One alias file as a table; a bad new version of the file is reported and not used."""

    name = "aliases"

    def __init__(self, path: str, *, report: Report | None = None, interval: float = 1.0) -> None:
        self.file = WatchedFile(path, read_aliases, report=report, interval=interval)

    def lookup(self, key: str) -> Answer:
        """Answer for a local part in lower case."""
        return self.file.current().get(key, MISSING)

    def names(self) -> Iterator[str]:
        """Give all alias names."""
        return iter(self.file.current())


def read_aliases(text: str, path: str) -> dict[str, Answer]:
    """Parse an alias file into answers. Raises ConfigError, also for a name that stands twice."""
    answers: dict[str, Answer] = {}
    lines: dict[str, int] = {}
    for alias in parse_aliases(text, path):
        if alias.name in lines:
            raise ConfigError(
                f"the alias {alias.name} stands in line {lines[alias.name]} already",
                file=path, line=alias.line, hint="join the values of both lines with a comma",
            )  # fmt: skip
        lines[alias.name] = alias.line
        answers[alias.name] = Found(tuple(map(entry_text, alias.entries)), f"{path}:{alias.line}")
    return answers
