"""The charsets in which search strings may come: names as IANA has them, to the codec that reads them.

Standards: RFC 9051 §6.4.4, §7.1 (BADCHARSET)
Trust: a name is looked up in this table and never handed on.
"""

from penfold.protocols.imap.status import no

BADCHARSET = no("The charset is not supported", b"BADCHARSET (US-ASCII UTF-8)")

_CODECS = {
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))},
    "latin1": "iso8859-1",
    **{f"windows-{page}": f"cp{page}" for page in (874, *range(1250, 1259))},
    "tis-620": "tis-620",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "gb2312": "gb2312",
    "gbk": "gbk",
    "gb18030": "gb18030",
    "big5": "big5",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022_jp",
    "shift_jis": "shift_jis",
    "euc-kr": "euc-kr",
    "ks_c_5601-1987": "euc-kr",
}


def codec(name: bytes) -> str | None:
    """Give the codec of a charset, or None."""
    return _CODECS.get(name.decode("ascii", "replace").lower())
