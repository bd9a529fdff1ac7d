"""The fuzz targets of this folder: what each reads, the inputs it begins with, its words."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fuzz.mutate import Mutator

FOLDER = Path(__file__).resolve().parent
CORPUS = FOLDER / "corpus"
FINDINGS = FOLDER / "findings"


class Target(NamedTuple):
    """A target: ``run`` raises for no input; ``known`` are its seeds and its corpus."""

    name: str
    run: Callable[[bytes], None]
    known: list[bytes]
    tokens: tuple[bytes, ...]

    def mutator(self, seed: int) -> Mutator:
        """Make inputs out of what is known."""
        return Mutator(list(self.known) or [b""], self.tokens, seed)


def names() -> list[str]:
    """List the targets."""
    return sorted(path.stem.removeprefix("fuzz_") for path in FOLDER.glob("fuzz_*.py"))


def corpus(name: str) -> list[bytes]:
    """Read the corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*")) if path.is_file()]


def load(name: str) -> Target:
    """Import a target."""
    module = importlib.import_module(f"fuzz.fuzz_{name}")
    return Target(name, module.target, [*module.SEEDS, *corpus(name)], tuple(getattr(module, "TOKENS", ())))
