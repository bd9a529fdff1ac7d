"""The base subject: what is left of a subject without "Re:", "Fwd:", list tags and "(fwd)".

Standards: RFC 5256 §2.1, §5 (subj-leader, subj-blob, subj-fwd-hdr, subj-trailer)
Trust: octets from anybody; only the first MAX_CHARACTERS are read, because removing tags one by one costs their square.
"""

import re
from typing import NamedTuple

from penfold.message.word_decoding import field_text

MAX_CHARACTERS = 1000
_BLOB = r"\[[^\[\]]*+\] *+"
_LEADER = re.compile(rf"(?: |(?:{_BLOB})*+(?:re|fwd?) *+(?:{_BLOB})?+:)", re.IGNORECASE)
_BLOB_FIRST = re.compile(_BLOB)
_FORWARD = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


class Subject(NamedTuple):
    """``base`` as it was spelled; ``answer`` tells that something was removed that a reply or forward adds."""

    base: str
    answer: bool


def base_subject(value: bytes) -> Subject:
    """Find the base subject of a raw Subject value."""
    text = " ".join(field_text(value)[:MAX_CHARACTERS].split())
    answer = False
    while True:
        trailed = _without_trailers(text)
        answer = answer or len(trailed) < len(text.rstrip(" "))
        text, led = _without_leaders(trailed)
        answer = answer or led
        forward = _FORWARD.match(text)
        if forward is None:
            return Subject(text, answer)
        text, answer = forward[1], True


def _without_trailers(text: str) -> str:
    text = text.rstrip(" ")
    while text[-5:].lower() == "(fwd)":
        text = text[:-5].rstrip(" ")
    return text


def _without_leaders(text: str) -> tuple[str, bool]:
    """Steps 3 to 5: leaders, and a tag unless nothing but tags would be left."""
    led = False
    while True:
        leader = _LEADER.match(text)
        while leader:
            led = led or ":" in leader[0]
            text = text[leader.end() :]
            leader = _LEADER.match(text)
        tag = _BLOB_FIRST.match(text)
        if tag is None or tag.end() == len(text):
            return text, led
        text = text[tag.end() :]
