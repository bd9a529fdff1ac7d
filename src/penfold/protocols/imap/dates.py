"""Dates as IMAP writes them: the day of a search, the date and time of a message's arrival.

Standards: RFC 9051 §9 (date, date-time)
Trust: the client's.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {month.lower().encode(): number for number, month in enumerate(_MONTHS, 1)}
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-3]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-5][0-9])"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_date(text: bytes) -> date:
    """Read ``1-Feb-1994``; raises ValueError."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("no date")
    return date(int(match[3]), _month(match[2]), int(match[1]))


def parse_date_time(text: bytes) -> int:
    """Read ``17-Jul-1996 02:44:25 -0700`` into seconds UTC; raises ValueError. A leap second is the one before it."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("no date-time")
    zone = timedelta(hours=int(match[8]), minutes=int(match[9]))
    local = datetime(
        int(match[3]),
        _month(match[2]),
        int(match[1]),
        int(match[4]),
        int(match[5]),
        min(int(match[6]), 59),
        tzinfo=timezone(-zone if match[7] == b"-" else zone),
    )
    if int(match[6]) > 60:
        raise ValueError("no date-time")
    return round((local - _EPOCH).total_seconds())


def render_date_time(seconds: int) -> bytes:
    """Write seconds UTC as ``"17-Jul-1996 09:44:25 +0000"``, quotes included; what no year holds is the nearest one."""
    seconds = min(max(seconds, -62135596800), 253402300799)
    time = _EPOCH + timedelta(seconds=seconds)
    month = _MONTHS[time.month - 1]
    text = f"{time.day:2d}-{month}-{time.year:04d} {time.hour:02d}:{time.minute:02d}:{time.second:02d}"
    return f'"{text} +0000"'.encode()


def _month(name: bytes) -> int:
    try:
        return _MONTH[name.lower()]
    except KeyError:
        raise ValueError("no month") from None
