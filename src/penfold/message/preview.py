"""PREVIEW: the first words of a message, for the list in which it is shown.

The first text/plain part that says anything, else the first HTML. Lines quoted from another message are left out as
long as anything else is left. Attachments are never looked at.

Standards: RFC 8970 §3.1, §3.2
Trust: octets from anybody; only the first 16 KB of a part are read.
"""

import re
from collections.abc import Iterator

from penfold.message.html_text import plain
from penfold.message.mime import Octets, Part
from penfold.message.searchable import part_text
from penfold.message.structure import is_message, parts

MAX_CHARACTERS = 200
_LOOKS = (600, 16384)  # octets: most texts say enough at once
_MOST_PARTS = 50
_QUOTED = re.compile(r"^>.*$", re.MULTILINE)
_UNSEEN = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b-\u200f\u2060\ufeff\u00ad\u034f\ufffc]+")


def preview(data: Octets, root: Part) -> str:
    """Give at most 200 characters on one line; ``""`` if there is no text."""
    html: Part | None = None
    for part in _texts(root):
        if part.kind.sub == "html":
            html = html or part
            continue
        words = _words(data, part)
        if words:
            return words
    return _words(data, html) if html else ""


def _texts(root: Part) -> Iterator[Part]:
    """Give the first parts that are text and no attachments; not those of messages inside."""
    waiting = [root]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        if part.kind.main == "multipart":
            waiting.extend(reversed(parts(part)[:_MOST_PARTS]))
        elif part.kind.main == "text" and not is_message(part) and not _attached(part):
            yield part


def _attached(part: Part) -> bool:
    disposition = part.fields.values.get(b"content-disposition")
    return disposition is not None and disposition.lstrip()[:10].lower() == b"attachment"


def _words(data: Octets, part: Part) -> str:
    html = part.kind.sub == "html"
    text = words = ""
    for most in _LOOKS[html:]:
        text = part_text(data, part, most) or ""
        if html:
            text = plain(text)
        words = _line(_QUOTED.sub("", text) if ">" in text else text)
        if len(words) >= MAX_CHARACTERS or part.end - part.body <= most:
            break
    return (words or _line(text))[:MAX_CHARACTERS].rstrip()


def _line(text: str) -> str:
    line = " ".join(text.split(None, MAX_CHARACTERS)[:MAX_CHARACTERS])
    return line if line.isprintable() else " ".join(_UNSEEN.sub("", line).split())
