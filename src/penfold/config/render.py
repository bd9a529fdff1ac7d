"""Shows a configuration: as TOML, as plain values for JSON, and what of a file differs from the defaults.

Secrets never come out: ``"(secret)"`` stands in their place.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from penfold.config.document import Document, Field, fields
from penfold.config.kinds import Kind, Wrong, quoted
from penfold.config.locate import Path
from penfold.config.sections import Config, Section

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Change(msgspec.Struct, frozen=True):
    """An option that a file sets to something else than its default, both written as TOML."""

    name: str
    value: str
    default: str
    line: int


def as_toml(config: Config) -> str:
    """Write a whole configuration as TOML."""
    lines = list(_options(config))
    for field in fields(Config):
        if field.section is not None:
            lines += _tables(field, getattr(config, field.name))
    return "\n".join(lines) + "\n"


def as_plain(section: Section) -> dict[str, object]:
    """Turn a section into plain values for JSON; durations and sizes stay as they are written."""
    plain: dict[str, object] = {}
    if getattr(section, "name", "") and "name" not in {field.name for field in fields(type(section))}:
        plain["name"] = getattr(section, "name", "")
    for field in fields(type(section)):
        value = getattr(section, field.name)
        if field.kind is not None:
            plain[field.key] = _plain(field.kind, value)
        elif isinstance(value, tuple):
            plain[field.key] = [as_plain(row) for row in value]
        else:
            plain[field.key] = as_plain(value)
    return plain


def changes(document: Document) -> Iterator[Change]:
    """List the options that a document sets to something else than their defaults, in the document's order."""
    yield from _changes(document, Config, document.values, ())


def _plain(kind: Kind, value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, tuple):
        return [_plain(getattr(kind, "of", kind), item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(getattr(kind, "of", kind), item) for key, item in value.items()}
    text = kind.show(value)
    return msgspec.json.decode(text)


def _options(section: Section) -> Iterator[str]:
    for field in fields(type(section)):
        if field.kind is not None:
            yield f"{field.key} = {field.kind.show(getattr(section, field.name))}"


def _tables(field: Field, value: object) -> Iterator[str]:
    rows = value if isinstance(value, tuple) else (value,)
    for row in rows:
        assert isinstance(row, Section)
        yield ""
        if field.rows is None:
            yield f"[{field.key}]"
        elif field.rows.named:
            yield f"[{field.key}.{_key(str(getattr(row, 'name', '')))}]"
        else:
            yield f"[[{field.key}]]"
        yield from _options(row)


def _key(name: str) -> str:
    return name if _BARE.match(name) else quoted(name)


def _changes(document: Document, section: type[Section], table: Mapping[str, object], path: Path) -> Iterator[Change]:
    known = {field.key: field for field in fields(section)}
    for key, value in table.items():
        field = known.get(key)
        if field is None:
            continue
        inside = (*path, key)
        if field.kind is not None:
            yield from _change(document, field, field.kind, value, inside)
        elif field.section is not None:
            for where, row in _inner(field, value, inside):
                yield from _changes(document, field.section, row, where)


def _inner(field: Field, value: object, path: Path) -> Iterator[tuple[Path, Mapping[str, object]]]:
    if field.rows is None and isinstance(value, dict):
        yield path, value
    elif isinstance(value, dict):
        yield from (((*path, name), row) for name, row in value.items() if isinstance(row, dict))
    elif isinstance(value, list):
        yield from (((*path, index), row) for index, row in enumerate(value) if isinstance(row, dict))


def _change(document: Document, field: Field, kind: Kind, value: object, path: Path) -> Iterator[Change]:
    try:
        found = kind.read(value, document.base)
    except Wrong:
        return
    if field.required or found != field.default:
        default = "" if field.required else kind.show(field.default)
        yield Change(_dotted(path), kind.show(found), default, document.position(path)[0])


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}" if text else _key(part)
    return text
