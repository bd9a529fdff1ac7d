"""A TOML text with the positions of its keys, and the binding of such a text to section classes.

Binding never stops at the first problem: all of them come back, each with file, line, column and a hint, so that an
administrator mends a file in one go.

Trust: the text is an administrator's; size and nesting are bounded all the same, and the only error is ConfigError.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from penfold.config.kinds import Kind, Wrong
from penfold.config.locate import Path, Positions
from penfold.config.sections import Part, Rows, Section
from penfold.model.errors import ConfigError

MAX_SIZE = 4 * 1024 * 1024  # octets of one file

S = TypeVar("S", bound=Section)
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a section class: an option (``kind``), a nested section (``part``) or many of them (``rows``)."""

    name: str
    key: str
    section: type[Section] | None
    kind: Kind | None = None
    part: Part | None = None
    rows: Rows | None = None
    default: object = None
    required: bool = False


class Document:
    """A parsed file: its values, and where each stands."""

    def __init__(self, file: str, text: str, base: str = "/") -> None:
        self.file = file
        self.base = base
        self.text = text
        self.values = self._parse(text)
        self._positions: Positions | None = None

    def _parse(self, text: str) -> dict[str, object]:
        if len(text) > MAX_SIZE:
            raise ConfigError("the file is larger than 4 MiB", file=self.file, hint="is this the right file?")
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(str(error), text) from None
        except RecursionError:
            raise ConfigError("brackets are nested too deeply", file=self.file) from None
        except ValueError as error:  # a number of more digits than Python converts
            raise ConfigError(f"not TOML: {error}", file=self.file) from None

    def _syntax(self, message: str, text: str) -> ConfigError:
        match = _AT.search(message)
        line, column = (int(match[1]), int(match[2])) if match and match[1] else (text.count("\n") + 1, 1)
        problem = _AT.sub("", message)
        hint = "a value is a quoted string, a number, true or false, a list in [ ], or a table in { }"
        return ConfigError(f"not TOML: {problem}", file=self.file, line=line, column=column, hint=hint)

    def position(self, path: Path) -> tuple[int, int]:
        """Give line and column of a key path, or of the nearest part above it."""
        if self._positions is None:
            self._positions = Positions(self.text)
        return self._positions.find(path)

    def error(self, path: Path, problem: str, hint: str = "") -> ConfigError:
        """Make an error that points at a key path."""
        line, column = self.position(path)
        return ConfigError(problem, file=self.file, line=line, column=column, hint=hint)


@cache
def fields(section: type[Section]) -> tuple[Field, ...]:
    """List the fields of a section class, in the order they are documented."""
    defaults = {field.name: field for field in msgspec.structs.fields(section)}
    found = []
    for name, hint in get_type_hints(section, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        inner, mark = get_args(hint)
        found.append(_field(name, inner, mark, defaults[name]))
    return tuple(found)


def _field(name: str, inner: object, mark: object, info: msgspec.structs.FieldInfo) -> Field:
    factory = info.default_factory
    default = info.default if factory is msgspec.NODEFAULT else factory()
    if isinstance(mark, Part):
        assert isinstance(inner, type)
        return Field(name, name, inner, part=mark, default=default)
    if isinstance(mark, Rows):
        return Field(name, mark.table, get_args(inner)[0], rows=mark, default=default)
    assert isinstance(mark, Kind)
    return Field(name, name, None, kind=mark, default=None if info.required else default, required=info.required)


class Binder:
    """Binds the values of a document to section classes and collects what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[ConfigError] = []

    def bind(self, section: type[S]) -> S | None:
        """Make the section of the whole document; None when there are problems."""
        bound = self._section(section, self.document.values, (), {})
        return None if self.problems else bound

    def _section(self, section: type[S], table: Mapping[str, object], path: Path, extra: dict[str, str]) -> S | None:
        known = {field.key: field for field in fields(section)}
        values: dict[str, object] = dict(extra)
        for key, value in table.items():
            if key not in known:
                self._unknown((*path, key), key, tuple(known))
            else:
                values[known[key].name] = self._value(known[key], value, (*path, key))
        missing = [f.key for f in known.values() if f.required and f.name not in values]
        for key in missing:
            self._problem(path, f"{_dotted(path)} lacks {key}", f"add a line {key} = …")
        return None if missing else section(**values)

    def _value(self, field: Field, value: object, path: Path) -> object:
        if field.kind is not None:
            return self._option(field.kind, value, path)
        assert field.section is not None
        if field.rows is None:
            table = self._table(value, path)
            return field.default if table is None else self._section(field.section, table, path, {})
        return tuple(self._rows(field.section, field.rows, value, path))

    def _option(self, kind: Kind, value: object, path: Path) -> object:
        try:
            return kind.read(value, self.document.base)
        except Wrong as wrong:
            self._problem((*path, *wrong.inside), f"{_dotted(path)}: {wrong.problem}", wrong.hint)
            return None

    def _table(self, value: object, path: Path) -> dict[str, object] | None:
        if isinstance(value, dict):
            return value
        self._problem(
            path, f"{_dotted(path)} is a section, not a value", f"write [{_dotted(path)}] on a line of its own"
        )
        return None

    def _rows(self, section: type[Section], rows: Rows, value: object, path: Path) -> Iterator[Section | None]:
        if rows.names is not None:
            for key, table in (self._table(value, path) or {}).items():
                name = self._option(rows.names, key, (*path, key))
                inside = self._table(table, (*path, key))
                if inside is not None:
                    yield self._section(section, inside, (*path, key), {"name": str(name)})
            return
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._problem(path, f"{_dotted(path)} is a row of tables", f"write [[{_dotted(path)}]] before each")
            return
        for index, table in enumerate(value):
            yield self._section(section, table, (*path, index), {})

    def _unknown(self, path: Path, key: str, known: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(known)
        where = f" in [{_dotted(path[:-1])}]" if len(path) > 1 else ""
        self._problem(path, f"unknown option {key!r}{where}", hint)

    def _problem(self, path: Path, problem: str, hint: str) -> None:
        self.problems.append(self.document.error(path, problem, hint))


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path if not isinstance(part, int)) or "the file"
