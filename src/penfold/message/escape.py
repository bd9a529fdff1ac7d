r"""Text of strangers on its way into what we write: header fields, comments, status notifications.

Everything here is total: any ``str`` goes in, and what comes out holds no CR, LF or other control character, and cannot
end the comment or the quoted string it is put into.

Standards: RFC 5322 §3.2.2, §3.2.4; RFC 3461 §4 (xtext); RFC 6533 §3 (utf-8 addresses)
Trust: the callers' arguments come from anybody.
"""

import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_NOT_PRINTABLE_ASCII = re.compile(r"[^ -~]")
_COMMENT_SPECIALS = re.compile(r"[()\\]")
_XTEXT_ESCAPED = re.compile(r"[^!-*,-<>-~]")
_XTEXT_CODE = re.compile(r"\+([0-9A-F]{2})")
_UTF8_XTEXT_ESCAPED = re.compile(r"[^!-*,-<>-\[\]-~]")
_UTF8_XTEXT_CODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def visible(text: str, limit: int = 1000) -> str:
    """Replace each run of controls (C0, C1, line separators, bidirectional overrides, lone surrogates) by a space."""
    return _CONTROLS.sub(" ", text[:limit])


def ascii_only(text: str, limit: int = 1000) -> str:
    """Make text printable ASCII; what is not becomes ``?``."""
    return _NOT_PRINTABLE_ASCII.sub("?", visible(text, limit))


def comment(text: str, limit: int = 200) -> str:
    """Make text fit to stand between the parentheses of a comment: ASCII, parentheses and backslashes quoted."""
    return _COMMENT_SPECIALS.sub(r"\\\g<0>", ascii_only(text, limit))


def quoted(text: str, limit: int = 1000) -> str:
    """Write text as a quoted string."""
    return '"' + re.sub(r'["\\]', r"\\\g<0>", visible(text, limit)) + '"'


def xtext(text: str) -> str:
    """Encode ASCII text as xtext (``+3D`` for ``=``); other characters by the octets of their UTF-8 form."""
    return _XTEXT_ESCAPED.sub(lambda m: "".join(f"+{octet:02X}" for octet in m[0].encode("utf-8", "replace")), text)


def from_xtext(text: str) -> str:
    """Decode xtext; octets that are not UTF-8 become U+FFFD, malformed codes stand as they are."""
    octets = _XTEXT_CODE.sub(lambda m: chr(int(m[1], 16)), text).encode("latin-1", "replace")
    return octets.decode("utf-8", "replace")


def utf8_xtext(text: str) -> str:
    r"""Encode an address as utf-8-addr-xtext: ASCII, ``\x{E9}`` for what is not."""
    return _UTF8_XTEXT_ESCAPED.sub(lambda m: f"\\x{{{ord(m[0]):02X}}}", text)


def from_utf8_xtext(text: str) -> str:
    """Decode utf-8-addr-xtext; codes that are no character stand as they are."""
    return _UTF8_XTEXT_CODE.sub(lambda m: chr(int(m[1], 16)) if _scalar(int(m[1], 16)) else m[0], text)


def _scalar(code: int) -> bool:
    return code < 0xD800 or 0xE000 <= code <= 0x10FFFF
