"""Which mailbox names a pattern of LIST means: ``*`` is anything, ``%`` anything within one level.

All ways to match are followed at once, as bits of one number, so time is linear in the name whatever the pattern.

Standards: RFC 9051 §6.3.9
Trust: patterns are the client's.
"""

import re
from collections.abc import Callable
from typing import Final

from penfold.store.names import INBOX, SEPARATOR

_RUNS: Final = re.compile(r"[*%]{2,}")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Give a test for names. INBOX matches in any case."""
    pattern = _RUNS.sub(lambda run: "*" if "*" in run[0] else "%", pattern)
    if pattern.upper() == INBOX:
        return lambda name: name == INBOX
    if pattern == "*":
        return lambda _name: True
    if "*" not in pattern and "%" not in pattern:
        return lambda name: name == pattern
    automaton = _Automaton(pattern)
    folded = _Automaton(pattern.upper())
    return lambda name: folded.matches(name) if name == INBOX else automaton.matches(name)


class _Automaton:
    def __init__(self, pattern: str) -> None:
        self._end = 1 << len(pattern)
        self._at: dict[str, int] = {}
        self._any = self._level = 0
        for place, character in enumerate(pattern):
            if character == "*":
                self._any |= 1 << place
            elif character == "%":
                self._level |= 1 << place
            else:
                self._at[character] = self._at.get(character, 0) | 1 << place

    def matches(self, name: str) -> bool:
        wild = self._any | self._level
        state = 1
        for character in name:
            state |= (state & wild) << 1
            stays = self._any if character == SEPARATOR else wild
            state = ((state & self._at.get(character, 0)) << 1) | (state & stays)
            if not state:
                return False
        return bool((state | (state & wild) << 1) & self._end)
