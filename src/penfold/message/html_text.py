"""HTML as a line of text: what a reader would see, without mark-up. No renderer, and nothing is ever run or fetched.

Standards: RFC 8970 §3; https://html.spec.whatwg.org/
Trust: text from anybody; linear time: every expression takes what is unclosed to the end.
"""

import re
from html import unescape

_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(script|style|title|template|noscript|svg)\b.*?(?:</\1\s*+>|\Z)"
    r"|<(?:[/!?]|(?=[a-zA-Z]))([a-zA-Z][a-zA-Z0-9]*+)?[^>]*+(?:>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_INLINE = frozenset(
    name
    for names in (
        "a abbr b bdi bdo big cite code em font i ins",
        "kbd mark q s small span strike strong sub sup tt u wbr",
    )
    for name in names.split()
)


def plain(html: str) -> str:
    """Take the mark-up out; where an element of its own line began or ended stands a space."""
    return unescape(_MARKUP.sub(_gap, html))


def _gap(match: re.Match[str]) -> str:
    return "" if (match[2] or "").lower() in _INLINE else " "
