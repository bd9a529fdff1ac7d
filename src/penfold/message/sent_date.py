"""The date a message was sent, out of its Date field: right, obsolete, or nearly right.

What cannot be read is None, and the caller takes the internal date. A wrong zone counts as UTC, a wrong time as
midnight, as SORT has it. SENTBEFORE, SENTON and SENTSINCE look at the day as it was written, whatever its zone.

Standards: RFC 5322 §3.3, §4.3; RFC 5256 §2.2 (sent date); RFC 9051 §6.4.4 (SENTSINCE)
Trust: octets from anybody; only the first MAX_OCTETS are read.
"""

import re
from typing import NamedTuple

from penfold.message.fields import one_line

MAX_OCTETS = 200
_USUAL = re.compile(
    rb" ?(?:[A-Z][a-z][a-z], )?(\d{1,2}) ([A-Z][a-z][a-z]) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4})(?=[\s(]|\Z)"
)
_MONTHS = {m: n for n, m in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
_MONTH = rb"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*+\.?+"
_TIME = rb"(\d{1,2})\s*+[:.]\s*+(\d{1,2})(?:\s*+[:.]\s*+(\d{1,2})(?:\.\d++)?+)?+"
_ZONE = rb"([+-]\s*\d{4}(?!\d)|[+-]\d\d:\d\d|[a-z]++)?+"
_DATE = re.compile(
    rb"\s*+(?:[a-z]++\.?+\s*+,?+\s*+)?+(\d{1,2})[\s-]*+" + _MONTH + rb"[\s-]*+(\d{2,4}+)(?!\d)"
    rb"(?:,?+\s*+" + _TIME + rb"\s*+" + _ZONE + rb")?+",
    re.IGNORECASE,
)
# Wed Jul 17 02:23:25 [zone] 1996: ctime, as very old mail has it.
_CTIME = re.compile(
    rb"\s*+[a-z]++,?+\s++"
    + _MONTH
    + rb"\s++(\d{1,2})\s++"
    + _TIME
    + rb"\s++(?:([a-z]++|[+-]\d{4})\s++)?+(\d{4})(?!\d)",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*+\)", re.DOTALL)
_ZONES = {b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6, b"mdt": -6, b"mst": -7, b"pdt": -7, b"pst": -8}
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class SentDate(NamedTuple):
    """``utc`` in seconds since 1970, and ``day``, the day as written, in days since 1970-01-01."""

    utc: int
    day: int


def sent_date(value: bytes | None) -> SentDate | None:
    """Read a raw Date value; None if it is missing or holds no date.

    PERF: 3 µs (timeit, CPython 3.11).
    """
    if not value:
        return None
    value = value[:MAX_OCTETS]
    match = _USUAL.match(value) or _DATE.match(_COMMENT.sub(b" ", one_line(value)))
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
    else:
        match = _CTIME.match(_COMMENT.sub(b" ", one_line(value)))
        if match is None:
            return None
        month, day, hour, minute, second, zone, year = match.groups()
    days = _days(_full_year(year), _MONTHS.get(month.lower(), 0), int(day))
    if days is None:
        return None
    return SentDate(days * 86400 + _seconds(hour, minute, second) - _offset(zone), days)


def _full_year(written: bytes) -> int:
    year = int(written)
    if len(written) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(written) == 3 else year


def _days(year: int, month: int, day: int) -> int | None:
    """Count the days since 1970-01-01 in the Gregorian calendar; None if there is no such day."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or not month or not 1 <= day <= _DAYS[month - 1] + (leap and month == 2):
        return None
    before = year - 1
    into = sum(_DAYS[: month - 1]) + (leap and month > 2) + day - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + into - 719162


def _seconds(hour: bytes | None, minute: bytes | None, second: bytes | None) -> int:
    if hour is None or minute is None:
        return 0
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    return hours * 3600 + minutes * 60 + seconds if hours < 24 and minutes < 60 and seconds <= 60 else 0


def _offset(zone: bytes | None) -> int:
    if not zone:
        return 0
    if zone[:1] not in b"+-":
        return _ZONES.get(zone.lower(), 0) * 3600
    digits = zone[1:].replace(b":", b"").strip()
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        return 0
    return (hours * 3600 + minutes * 60) * (-1 if zone.startswith(b"-") else 1)
