"""What every scenario is: a function that measures and keeps its page; run alone or by ``bench.all``."""

import sys
from collections.abc import Callable

from bench.rig import CannotMeasureError


def main(scenario: Callable[[], None]) -> None:
    """Run one scenario as a command; says what is missing and exits with 1 when it cannot be measured."""
    try:
        scenario()
    except CannotMeasureError as error:
        sys.exit(f"bench: {error}")
