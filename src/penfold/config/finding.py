"""What a check found, and what its rules look at."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from penfold.config.document import Document
from penfold.config.locate import Path
from penfold.config.sections import Config
from penfold.model.errors import ConfigError

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing found: an ``error`` keeps Penfold from starting, a ``warning`` does not."""

    severity: Severity
    file: str
    line: int
    column: int
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        """Show as compilers do."""
        text = f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.problem}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at: the configuration, the document it came from, the time."""

    config: Config
    document: Document
    now: float

    def error(self, path: Path, problem: str, hint: str = "") -> Finding:
        """Find something that must not be."""
        return Finding("error", self.document.file, *self.document.position(path), problem, hint)

    def warning(self, path: Path, problem: str, hint: str = "") -> Finding:
        """Find something that should not be."""
        return Finding("warning", self.document.file, *self.document.position(path), problem, hint)

    def written(self, table: str) -> list[str]:
        """Give the names of the tables under ``table`` as the file spells them, in the order of the configuration's."""
        found = self.document.values.get(table, {})
        return list(found) if isinstance(found, dict) else []

    @property
    def ours(self) -> set[str]:
        """The domains whose mail ends here."""
        return {*self.config.local_domains, *(domain.name for domain in self.config.domains)}


Rule = Callable[[Subject], Iterator[Finding]]


def from_error(error: ConfigError) -> Finding:
    """Turn an error of loading into a finding."""
    return Finding("error", error.file, error.line, error.column, error.problem, error.hint)


def readable(subject: Subject, path: Path, file: str) -> Iterator[Finding]:
    """Look whether a plain file can be read here."""
    try:
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                yield subject.error(path, f"{file} is not a plain file")
    except OSError as error:
        hint = "make it, or take this line out" if isinstance(error, FileNotFoundError) else "check its owner and mode"
        yield subject.error(path, f"{file} cannot be read: {error.strerror}", hint)
