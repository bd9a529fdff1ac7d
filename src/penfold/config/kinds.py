"""The kinds of value an option can have: how each is written in TOML, read into a value, and shown again.

A kind stands in the annotation of its option (``Annotated[float, Duration("How long …")]``) and carries the option's
doc string, so that a section class says everything about its options in one place. ``read`` takes what the TOML parser
gave and returns the value, or raises Wrong with a problem and what to write instead. ``show`` writes a value as TOML.

Standards: TOML 1.0 (https://toml.io/en/v1.0.0)
Trust: values come from an administrator's file; whatever stands there, the only exception is Wrong.
"""

import json
import os
import re
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "K": KIB,
    "M": MIB,
    "G": GIB,
    "KiB": KIB,
    "MiB": MIB,
    "GiB": GIB,
    "TiB": 1024 * GIB,
}
_NUMBER_UNIT = re.compile(r"\s*([0-9]{1,16}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{0,3})\s*\Z")


class Wrong(ValueError):
    """A value that cannot be used: the problem, what to write instead, and where inside a list or table it is."""

    def __init__(self, problem: str, hint: str = "", inside: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.inside = inside


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value. ``doc`` is what the reference page says of the option."""

    doc: str

    @property
    def word(self) -> str:
        """Name the kind for people."""
        raise NotImplementedError

    def read(self, value: object, base: str) -> object:
        """Make the value of what stands in the file; ``base`` is the directory that relative paths start from."""
        raise NotImplementedError

    def show(self, value: object) -> str:
        """Write a value as TOML."""
        return quoted(str(value))


def quoted(text: str) -> str:
    """Write a TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def string(value: object, word: str, example: str) -> str:
    """Take a string without control characters, or say what was found instead."""
    if not isinstance(value, str):
        raise Wrong(f"expected {word}, found {_found(value)}", f"write it in quotes, as {example}")
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise Wrong("a control character has no place in this value")
    return value


_TOML_WORDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


def _found(value: object) -> str:
    return _TOML_WORDS.get(type(value), "a date or time")


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A string; with ``pattern``, one that looks like that (``example`` shows it)."""

    pattern: str = ""
    example: str = '"text"'
    longest: int = 1000

    @property
    def word(self) -> str:
        """Name the kind."""
        return "a string"

    def read(self, value: object, base: str) -> str:  # noqa: ARG002 - the seam
        """Take the string."""
        text = string(value, self.word, self.example)
        if len(text) > self.longest:
            raise Wrong(f"longer than {self.longest} characters")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise Wrong(f"{text!r} cannot be used here", f"write something like {self.example}")
        return text


@dataclass(frozen=True, slots=True)
class Secret(Text):
    """A string that ``config show`` never prints."""

    def show(self, value: object) -> str:
        """Hide it."""
        return quoted("(secret)" if value else "")


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """List the words."""
        return " or ".join(quoted(word) for word in self.words)

    def read(self, value: object, base: str) -> str:  # noqa: ARG002 - the seam
        """Take one of the words."""
        text = string(value, self.word, quoted(self.words[0]))
        if text not in self.words:
            raise Wrong(f"{text!r} is none of the words known here", f"write {self.word}")
        return text


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """Yes or no."""

    @property
    def word(self) -> str:
        """Name the kind."""
        return "true or false"

    def read(self, value: object, base: str) -> bool:  # noqa: ARG002 - the seam
        """Take a boolean."""
        if not isinstance(value, bool):
            raise Wrong(f"expected true or false, found {_found(value)}", "write true or false, without quotes")
        return value

    def show(self, value: object) -> str:
        """Write true or false."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Count(Kind):
    """A whole number between ``least`` and ``most``."""

    least: int = 0
    most: int = 1_000_000_000
    unit: str = ""

    @property
    def word(self) -> str:
        """Name the kind and its unit."""
        return f"a whole number of {self.unit}" if self.unit else "a whole number"

    def read(self, value: object, base: str) -> int:  # noqa: ARG002 - the seam
        """Take a number in range."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"expected {self.word}, found {_found(value)}", "write digits, without quotes")
        if not self.least <= value <= self.most:
            raise Wrong(f"{value} is out of range", f"write a number from {self.least} to {self.most}")
        return value

    def show(self, value: object) -> str:
        """Write the digits."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Fraction(Kind):
    """A number from 0 to 1."""

    @property
    def word(self) -> str:
        """Name the kind."""
        return "a number from 0 to 1"

    def read(self, value: object, base: str) -> float:  # noqa: ARG002 - the seam
        """Take a number in range."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise Wrong(f"expected {self.word}", "write for example 0.1")
        return float(value)

    def show(self, value: object) -> str:
        """Write the number."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Duration(Kind):
    """A length of time, held in seconds."""

    least: float = 0.0
    most: float = 366 * DAY

    @property
    def word(self) -> str:
        """Name the kind."""
        return 'a duration ("30s", "5m", "4h", "5d")'

    def read(self, value: object, base: str) -> float:  # noqa: ARG002 - the seam
        """Take a number with a unit."""
        if isinstance(value, int | float) and not isinstance(value, bool) and value != 0:
            raise Wrong(f"{value} has no unit of time", f'write "{value}s" for seconds, "{value}m" for minutes')
        text = "0s" if value == 0 and not isinstance(value, bool) else string(value, self.word, '"5m"')
        seconds = _with_unit(text, _DURATION_UNITS, self.word)
        if not self.least <= seconds <= self.most:
            least, most = write_duration(self.least), write_duration(self.most)
            raise Wrong(f"{text} is out of range", f'write a duration from "{least}" to "{most}"')
        return seconds

    def show(self, value: object) -> str:
        """Write it with the greatest unit that needs no fraction."""
        assert isinstance(value, int | float)
        return quoted(write_duration(value))


@dataclass(frozen=True, slots=True)
class Size(Kind):
    """An amount of storage, held in octets."""

    least: int = 0
    most: int = 1 << 50

    @property
    def word(self) -> str:
        """Name the kind."""
        return 'a size ("64KiB", "50MiB", "2GB")'

    def read(self, value: object, base: str) -> int:  # noqa: ARG002 - the seam
        """Take octets, or a number with a unit."""
        if isinstance(value, int) and not isinstance(value, bool):
            octets = value
        else:
            octets = int(_with_unit(string(value, self.word, '"50MiB"'), {"": 1, **_SIZE_UNITS}, self.word))
        if not self.least <= octets <= self.most:
            least, most = write_size(self.least), write_size(self.most)
            raise Wrong(f"{value} is out of range", f'write a size from "{least}" to "{most}"')
        return octets

    def show(self, value: object) -> str:
        """Write it with the greatest binary unit that needs no fraction."""
        assert isinstance(value, int)
        return quoted(write_size(value))


def _with_unit(text: str, units: dict[str, float] | dict[str, int], word: str) -> float:
    match = _NUMBER_UNIT.match(text)
    if match is None or match[2] not in units:
        raise Wrong(f"{text!r} is not {word}", "units are " + ", ".join(unit for unit in units if unit))
    return float(match[1]) * units[match[2]]


def write_duration(seconds: float) -> str:
    """Write seconds as an option's value: ``5d``, ``90m``."""
    for unit, length in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1.0)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds / length)}{unit}"
    return f"{round(seconds * 1000)}ms" if seconds else "0s"


def write_size(octets: int) -> str:
    """Write octets as an option's value: ``50MiB``."""
    for unit, length in (("TiB", 1024 * GIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if octets >= length and octets % length == 0:
            return f"{octets // length}{unit}"
    return f"{octets}B"


@dataclass(frozen=True, slots=True)
class FilePath(Kind):
    """The name of a file or directory; a relative one starts at the directory of the configuration file.

    ``words`` mean something else than a file and are kept as they are.
    """

    words: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """Name the kind."""
        return "a path"

    def read(self, value: object, base: str) -> str:
        """Make it absolute; ``""`` stays empty."""
        text = string(value, self.word, '"/var/lib/penfold"')
        return text if not text or text in self.words else os.path.normpath(os.path.join(base, text))


def _item(kind: Kind, value: object, base: str, place: str | int) -> object:
    try:
        return kind.read(value, base)
    except Wrong as wrong:
        raise Wrong(wrong.problem, wrong.hint, (place, *wrong.inside)) from None


@dataclass(frozen=True, slots=True)
class Several(Kind):
    """A list of values of one kind, held as a tuple."""

    of: Kind = Text("")
    least: int = 0
    most: int = 10_000

    @property
    def word(self) -> str:
        """Name the kind."""
        return f"a list, each {self.of.word}"

    def read(self, value: object, base: str) -> tuple[object, ...]:
        """Read each item."""
        if not isinstance(value, list):
            raise Wrong(f"expected a list, found {_found(value)}", "write it in square brackets")
        if not self.least <= len(value) <= self.most:
            raise Wrong(f"{len(value)} items are too few or too many", f"write {self.least} to {self.most}")
        return tuple(_item(self.of, item, base, index) for index, item in enumerate(value))

    def show(self, value: object) -> str:
        """Write the list on one line."""
        assert isinstance(value, tuple)
        return "[" + ", ".join(self.of.show(item) for item in value) + "]"


@dataclass(frozen=True, slots=True)
class Names(Kind):
    """A table of strings to values of one kind, held as a dictionary; the strings are of the kind ``keys``."""

    of: Kind = Text("")
    keys: Kind = Text("")

    @property
    def word(self) -> str:
        """Name the kind."""
        return f"a table, each value {self.of.word}"

    def read(self, value: object, base: str) -> dict[str, object]:
        """Read each value."""
        if not isinstance(value, dict):
            raise Wrong(f"expected a table, found {_found(value)}", 'write { "name" = "value" }')
        return {str(_item(self.keys, key, base, key)): _item(self.of, item, base, key) for key, item in value.items()}

    def show(self, value: object) -> str:
        """Write an inline table."""
        assert isinstance(value, dict)
        inside = ", ".join(f"{quoted(key)} = {self.of.show(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
