"""Which lines of Penfold follow which while an input is read: how inputs that show something new are told apart.

Tracing costs ten times what it looks at, so only some of the inputs are traced.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import penfold

_OURS = str(Path(penfold.__file__).parent)

Edge = tuple[int, int, int]


def edges(run: Callable[[bytes], None], data: bytes) -> set[Edge]:
    """Run over an input; gives the steps from line to line that it took. Raises what ``run`` raises."""
    seen: set[Edge] = set()
    last = 0

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal last
        if event == "line":
            line = frame.f_lineno
            seen.add((id(frame.f_code), last, line))
            last = line
        return step

    def call(frame: FrameType, _event: str, _: Any) -> Any:
        return step if frame.f_code.co_filename.startswith(_OURS) else None

    sys.settrace(call)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return seen
