"""Charsets of mail, read as they are used rather than as they are named.

Text that claims less than it holds is common: us-ascii with 8-bit octets, iso-8859-1 with the quotation marks of
windows-1252, gb2312 with characters of gbk. So the superset is used. Text without a charset is UTF-8 if it can be, else
windows-1252.

Standards: RFC 2046 §4.1.2; RFC 2047 §2; RFC 6532 §3.4
Trust: names and octets from anybody. Only charsets of mail are decoded: Python's other codecs are slow or odd.
"""

import codecs
import re

_SAME = {
    "": "guess",
    "us-ascii": "guess",
    "ascii": "guess",
    "unknown-8bit": "guess",
    "x-unknown": "guess",
    "utf8": "utf-8",
    "utf-8": "utf-8",
    "utf-7": "utf-7",
    "unicode-1-1-utf-7": "utf-7",
    "utf-16": "utf-16",
    "utf-16le": "utf-16le",
    "utf-16be": "utf-16be",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb18030": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-1": "iso2022_jp_ext",
    "iso-2022-jp-2": "iso2022_jp_2",
    "cp50220": "iso2022_jp_ext",
    "euc-jp": "euc_jp",
    "iso-2022-kr": "iso2022_kr",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac_roman",
    "x-mac-roman": "mac_roman",
}
_FAMILIES = re.compile(r"iso-8859-(?:[2-8]|1[03-6])|(?:windows-|x-)?cp-?(\d{3,4})|windows-(\d{3,4})|ibm(\d{3})")
_SURROGATES = frozenset({"utf-7"})  # codecs that let single surrogates through


def codec(charset: str) -> str | None:
    """Name the codec of a charset, ``"guess"`` where nothing is promised; None if it is none we know."""
    name = charset.strip().strip("\"'").lower()
    found = _SAME.get(name)
    if found is not None:
        return found
    match = _FAMILIES.fullmatch(name)
    if match is None:
        return None
    number = match[1] or match[2] or match[3]
    name = f"cp{number}" if number else name
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name


def decode(octets: bytes, charset: str) -> str | None:
    """Decode text; what is wrong in it becomes U+FFFD. None if the charset is unknown."""
    if octets.isascii() and b"\x1b" not in octets and _reads_ascii(charset):
        return octets.decode("ascii")
    name = codec(charset)
    if name is None:
        return None
    if name == "guess":
        return guess(octets)
    return sound(octets.decode(name, "replace"), name)


def _reads_ascii(charset: str) -> bool:
    return charset.lower() in {"utf-8", "us-ascii", "", "iso-8859-1", "windows-1252"}


def guess(octets: bytes) -> str:
    """Decode text of which nothing is known."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def sound(text: str, name: str) -> str:
    """Make text of this codec encodable again."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if name in _SURROGATES else text
