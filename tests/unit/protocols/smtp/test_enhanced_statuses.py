"""The enhanced statuses in our replies are those of the registry (RFC 3463 §3, RFC 5248 §2)."""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[4] / "src" / "penfold"
STATUS = re.compile(r'(?<![\w.])(?:Reply\.of\(\d{3}, |Reply\(\d{3}, )"([245])\.(\d{1,3}\.\d{1,3})"')
# Subjects and details of the registry for enhanced status codes that a transport agent may need.
REGISTERED = {
    0: {0},
    1: set(range(11)),
    2: set(range(5)),
    3: set(range(7)),
    4: set(range(8)),
    5: set(range(7)),
    6: set(range(11)),
    7: set(range(31)),
}
# What the world says about bare line ends, though nobody registered it.
CUSTOMARY = {(6, 11)}


def used():
    found = {}
    for path in SOURCES.rglob("*.py"):
        for _, detail in STATUS.findall(path.read_text()):
            found.setdefault(tuple(map(int, detail.split("."))), path.name)
    return found


def test_statuses_of_our_replies_are_registered():
    statuses = used()
    assert len(statuses) > 30
    unknown = {status: file for status, file in statuses.items() if status[1] not in REGISTERED.get(status[0], ())}
    assert set(unknown) == CUSTOMARY


def test_the_class_of_a_status_is_that_of_its_code():
    pair = re.compile(r'Reply(?:\.of)?\(([245])\d\d, "([245])\.')
    pairs = [pair.findall(path.read_text()) for path in SOURCES.rglob("*.py")]
    assert sum(map(len, pairs)) > 60
    assert all(code == status for found in pairs for code, status in found)
