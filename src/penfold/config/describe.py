"""What is known of each option: its name, kind, default and doc string, for ``explain`` and the reference page."""

import difflib
import inspect
from collections.abc import Iterator

import msgspec

from penfold.config.document import Field, fields
from penfold.config.kinds import Kind
from penfold.config.sections import Config, Section
from penfold.model.errors import ConfigError


class Option(msgspec.Struct, frozen=True):
    """One option. ``name`` is dotted, with ``NAME`` for a name of your own and ``[]`` for one of a row of tables."""

    name: str
    kind: str
    doc: str
    default: str
    required: bool = False


class Group(msgspec.Struct, frozen=True):
    """One section: its heading as in the file (``[limits]``, ``""`` for the top), what it is for, its options."""

    name: str
    heading: str
    doc: str
    options: tuple[Option, ...]


def groups(root: type[Section] = Config) -> Iterator[Group]:
    """List the sections in the order of the class."""
    yield _group(root, "", "")
    for field in fields(root):
        if field.section is not None:
            yield _group(field.section, _prefix(field), _heading(field))


def explain(name: str) -> Group | Option:
    """Find an option or a section by its dotted name, or by the last part of it where that is unique.

    Raises ConfigError with the nearest names for an unknown one.
    """
    known = {group.name: group for group in groups() if group.name}
    options = {option.name: option for group in groups() for option in group.options}
    wanted = _canonical(name, known)
    if wanted in options:
        return options[wanted]
    if wanted in known:
        return known[wanted]
    ending = [option for option in options.values() if option.name.rpartition(".")[2] == wanted]
    if len(ending) == 1:
        return ending[0]
    near = [option.name for option in ending] or difflib.get_close_matches(wanted, [*options, *known], n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(near) + "?" if near else "penfold config explain lists all"
    raise ConfigError(f"there is no option {name!r}" if not ending else f"{name!r} is not unique", hint=hint)


def _canonical(name: str, known: dict[str, Group]) -> str:
    """Bring ``listen.mx.role`` and ``account.address`` into the form that ``groups`` uses."""
    name = name.strip("[] ")
    head, *rest = name.split(".")
    for group in known:
        if group == f"{head}[]":
            return ".".join([group, *rest])
        if group == f"{head}.NAME" and rest[-1:] != ["NAME"]:
            return ".".join([group, *rest[1:]])
    return name


def _prefix(field: Field) -> str:
    if field.rows is None:
        return field.key
    return f"{field.key}.NAME" if field.rows.named else f"{field.key}[]"


def _heading(field: Field) -> str:
    if field.rows is None:
        return f"[{field.key}]"
    return f"[{field.key}.NAME]" if field.rows.named else f"[[{field.key}]]"


def _group(section: type[Section], name: str, heading: str) -> Group:
    doc = " ".join((inspect.getdoc(section) or "").replace("``", "`").split())
    options = tuple(_option(field, field.kind, name) for field in fields(section) if field.kind is not None)
    return Group(name, heading, doc, options)


def _option(field: Field, kind: Kind, group: str) -> Option:
    name = f"{group}.{field.key}" if group else field.key
    default = "" if field.required else kind.show(field.default)
    return Option(name, kind.word, kind.doc, default, field.required)
