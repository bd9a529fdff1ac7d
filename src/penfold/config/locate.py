r"""Finds where a key or a list item stands in a TOML text that already parsed.

``tomllib`` gives values without positions; a problem with a value needs the line it stands on. The scanner here walks
the text once and notes the position of every key path. It need not judge the text (the parser has), only never loop
or recurse without bound: nesting is a stack of frames, and each step consumes at least one character.

A path is a tuple of keys and list indices: ``("listen", "mx", "role")``, ``("account", 2, "address")``.

Standards: TOML 1.0 (https://toml.io/en/v1.0.0)
"""

import re
from bisect import bisect_right

Path = tuple[str | int, ...]
DEEPEST = 64  # parts of a path that are noted; what lies deeper is found at the part above it

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!"")|"(?="""))*"""'
    r"|'''(?:[^']|'(?!'')|'(?='''))*'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]\}\n#\"'\[\{]+")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class Positions:
    """Where the keys of one text stand."""

    def __init__(self, text: str) -> None:
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._offsets = _Scanner(text).scan()

    def find(self, path: Path) -> tuple[int, int]:
        """Give line and column (from 1) of a path, or of the nearest part above it that is written down."""
        while path and path not in self._offsets:
            path = path[:-1]
        return self.at(self._offsets[path]) if path else (1, 1)

    def at(self, offset: int) -> tuple[int, int]:
        """Give line and column of an offset."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: Path = ()
        self.rows: dict[Path, int] = {}
        self.found: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        while self._skip():
            before = self.at
            if self.text[self.at] == "[":
                self._header()
            else:
                self._assignment()
            self.at = max(self.at, before + 1)
        return self.found

    def _skip(self) -> bool:
        match = _SPACE.match(self.text, self.at)
        if match:
            self.at = match.end()
        return self.at < len(self.text)

    def _header(self) -> None:
        start = self.at
        row = self.text.startswith("[[", self.at)
        self.at += 2 if row else 1
        path = self._through_rows(self._key())
        if row:
            index = self.rows[path] = self.rows.get(path, -1) + 1
            path = (*path, index)
        self.table = path
        self._note(path, start)
        end = self.text.find("]", self.at)
        self.at = len(self.text) if end < 0 else end + (2 if row else 1)

    def _through_rows(self, keys: list[tuple[str, int]]) -> Path:
        path: Path = ()
        for number, (key, _) in enumerate(keys):
            path = (*path, key)
            if number < len(keys) - 1 and path in self.rows:
                path = (*path, self.rows[path])
        return path

    def _note(self, path: Path, offset: int) -> None:
        for length in range(1, len(path) + 1):
            self.found.setdefault(path[:length], offset)

    def _key(self) -> list[tuple[str, int]]:
        """Read a dotted key: its parts with their offsets."""
        parts: list[tuple[str, int]] = []
        while True:
            self._blank()
            match = _STRING.match(self.text, self.at) or _BARE.match(self.text, self.at)
            if match is None:
                return parts
            if len(parts) < DEEPEST:
                parts.append((_unquoted(match[0]), self.at))
            self.at = match.end()
            self._blank()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _assignment(self) -> None:
        path = self._named(self.table)
        if path:
            self._value(path)

    def _named(self, table: Path) -> Path:
        """Read ``key =`` inside ``table``; the path it names, or () at garbage."""
        parts = self._key()
        path = table
        for key, offset in parts:
            path = (*path, key)
            self.found.setdefault(path, offset)
        if not self.text.startswith("=", self.at):
            return ()
        self.at += 1
        return path if parts else ()

    def _value(self, path: Path) -> None:
        """Walk one value and what is nested in it, with a stack of (path, next index; -1 in an inline table)."""
        stack: list[tuple[Path, int]] = []
        while True:
            here = self._enter(path, stack)
            if not here:
                return
            path = here

    def _enter(self, path: Path, stack: list[tuple[Path, int]]) -> Path:
        """Take the value at ``path``, then move to the next one still inside the stack; () when there is none."""
        self._skip()
        opening = self.text[self.at : self.at + 1]
        if opening in {"[", "{"}:
            self.at += 1
            stack.append((path[:DEEPEST], 0 if opening == "[" else -1))
        else:
            match = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            self.at = match.end() if match else self.at + 1
        while stack:
            self._skip()
            sign = self.text[self.at : self.at + 1]
            if sign in {"]", "}"}:
                self.at += 1
                stack.pop()
            elif sign == ",":
                self.at += 1
            elif not sign:
                return ()
            else:
                return self._inside(stack)
        return ()

    def _inside(self, stack: list[tuple[Path, int]]) -> Path:
        path, index = stack[-1]
        if index < 0:
            return self._named(path)
        stack[-1] = (path, index + 1)
        item = (*path, index)
        self.found[item] = self.at
        return item


def _unquoted(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] != '"':
        return key
    return _ESCAPE.sub(_unescaped, key[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code:
        return chr(int(code, 16))
    return _ESCAPES.get(match[3], match[3])
