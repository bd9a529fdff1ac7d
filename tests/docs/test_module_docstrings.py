"""Every module says what it is; one that takes octets of strangers says whom it trusts, and how far."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "penfold"
MODULES = sorted(SOURCE.rglob("*.py"))
# Rooms through which mail and its senders' words pass.
EXPOSED = {"protocols", "message", "net", "transport", "queue", "intake", "guard", "delivery", "routing", "formats"}
# Functions by which octets of others come into a module.
TAKES = re.compile(r"(?:(?:parse|unpack|decode)(?:_\w+)?|receive_data|received|feed|scan|step|examine)\Z")
LINES = re.compile(r"^(Standards|Trust|Durability):", re.MULTILINE)
# Modules that define such a function, but only hand on what a module with a Trust line has read.
SEAMS = {
    "protocols/base.py",
    "protocols/proxy/__init__.py",
    "protocols/sasl/__init__.py",
    "protocols/smtp/__init__.py",
    "formats/base.py",
    "message/dsn_text.py",
    "transport/receive/reception.py",
}


def named(path):
    return str(path.relative_to(SOURCE))


@cache
def tree(path):
    return ast.parse(path.read_text())


def docstring(path):
    return ast.get_docstring(tree(path)) or ""


@cache
def fuzzed():
    """Name the modules that fuzz targets call by name."""
    found = set()
    for target in (ROOT / "fuzz").glob("fuzz_*.py"):
        for node in ast.walk(tree(target)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("penfold."):
                found.add(node.module.removeprefix("penfold.").replace(".", "/") + ".py")
    return found


@cache
def reached():
    """Name what fuzzed modules call in their own package: a core's target runs everything the core imports there."""
    found, waiting = set(), set(fuzzed())
    while waiting:
        module = waiting.pop()
        if not (SOURCE / module).exists():
            module = f"{module.removesuffix('.py')}/__init__.py"
        if module in found or not (SOURCE / module).exists():
            continue
        found.add(module)
        for node in ast.walk(tree(SOURCE / module)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("penfold."):
                name = node.module.removeprefix("penfold.").replace(".", "/")
                names = [f"{name}.py", *(f"{name}/{alias.name}.py" for alias in node.names)]
                waiting |= {each for each in names if each.rpartition("/")[0] == module.rpartition("/")[0]}
    return found


def takes_strangers_octets(path):
    names = {node.name for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return named(path) in fuzzed() or any(TAKES.match(name) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_module_says_in_a_sentence_what_it_is(path):
    text = docstring(path)
    first = text.split("\n\n")[0]
    assert 10 < len(first) < 400
    assert first.rstrip()[-1] in ".:?"
    paragraphs = text.split("\n\n")
    assert not any(LINES.search(paragraph) for paragraph in paragraphs[:-2]), "Standards, Trust, Durability stand last"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if named(path).split("/")[0] in EXPOSED and named(path) not in SEAMS], ids=named
)
def test_module_that_takes_strangers_octets_says_whom_it_trusts(path):
    if takes_strangers_octets(path):
        assert re.search(r"^Trust: \S", docstring(path), re.MULTILINE)


def test_modules_that_parse_are_fuzzed():
    parsers = {named(path) for path in MODULES if named(path).split("/")[0] in EXPOSED and _parses(path)}
    assert parsers - reached() <= {
        "net/channel.py",  # its octets by the targets of frames and records
    }


def _parses(path):
    return any(isinstance(node, ast.FunctionDef) and re.match(r"parse(_|\Z)", node.name) for node in tree(path).body)
