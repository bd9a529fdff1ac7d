r"""Makes hostile text harmless for the eye and for the next program: a log, a terminal, syslog.

Strangers choose HELO names, addresses and replies. Nothing of theirs may end a line, move the cursor, turn the writing
direction, or grow without bound. What cannot be shown stands as ``\n``, ``\x1b`` or ``\u202e``; a backslash is doubled,
so that the writing stays unambiguous.

Trust: takes any str whatever, lone surrogates included; the result has no line end and no control character.
"""

import re

LONGEST = 300  # characters of one value in a log line

# C0, DEL, C1, soft hyphen and zero-width signs, line and paragraph separators, bidirectional controls, surrogates,
# tags and noncharacters: whatever has no shape of its own or changes the shape of others.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\\\\\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\uffff"
    "\U000e0000-\U000e0fff]"
)
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+\Z")  # one word of ASCII without quotes, equals signs and backslashes
_AWKWARD = re.compile(r'[\s"=]')
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def visible(text: str, longest: int = LONGEST) -> str:
    """Make text fit for a terminal or a log file in UTF-8, cut to ``longest`` characters before escaping."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _HARMFUL.sub(_escape, text) if _HARMFUL.search(text) else text


def ascii_only(shown: str) -> str:
    """Make visible text fit for a sink that may know nothing but ASCII (syslog)."""
    return shown if shown.isascii() else _NOT_ASCII.sub(_escape, shown)


def value(text: str, longest: int = LONGEST) -> str:
    """Make text fit as the value of ``key=value``: quoted where it is empty or has spaces, quotes or equals signs."""
    if len(text) <= longest and _PLAIN.match(text):
        return text
    shown = visible(text, longest)
    if shown and not _AWKWARD.search(shown):
        return shown
    return '"' + shown.replace('"', '\\"') + '"'


def _escape(match: re.Match[str]) -> str:
    sign = match[0]
    code = ord(sign)
    if sign in _SHORT:
        return _SHORT[sign]
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
