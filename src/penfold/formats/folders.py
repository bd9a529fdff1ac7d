"""Maildir++ folder names: ``Sent/2026`` is the Maildir ``.Sent.2026`` in the one above.

Characters outside printable ASCII are written in IMAP's modified UTF-7, as Courier and Dovecot do.

Standards: RFC 3501 §5.1.3; https://www.courier-mta.org/imap/README.maildirquota.html
Trust: folder names come from filters and clients; no name leads out of the Maildir.
"""

import base64
import re
from collections.abc import Sequence
from typing import Final

_PLAIN: Final = re.compile(r"[ -%'-~]+|&|[^ -~]+")
_SHIFTED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_PART: Final = re.compile(r"[^\x00-\x1f\x7f./]+")
_LONGEST: Final = 200


def folder_path(root: str, names: Sequence[str]) -> str:
    """Name the Maildir of a folder; ``()`` and ``("INBOX",)`` are the root. Raises ValueError for impossible names."""
    if not names or (len(names) == 1 and names[0].upper() == "INBOX"):
        return root
    encoded = [_encode_part(name) for name in names]
    joined = "." + ".".join(encoded)
    if len(joined) > _LONGEST:
        raise ValueError("folder name is too long")
    return f"{root}/{joined}"


def folder_names(directory: str) -> tuple[str, ...]:
    """Read the names of a folder from its directory name (``.Sent.2026``)."""
    return tuple(decode(part) for part in directory.removeprefix(".").split("."))


def _encode_part(name: str) -> str:
    if (
        not name
        or "/" in name
        or "." in name
        or any(ord(character) < 32 or ord(character) == 127 for character in name)
    ):
        raise ValueError(f"not a folder name: {name!r}")
    return encode(name)


def encode(name: str) -> str:
    """Write text in modified UTF-7."""
    return "".join(_shift(run) for run in _PLAIN.findall(name))


def _shift(run: str) -> str:
    if run == "&":
        return "&-"
    if run.isascii() and run.isprintable():
        return run
    octets = run.encode("utf-16-be", "surrogatepass")
    return "&" + base64.b64encode(octets).decode("ascii").rstrip("=").replace("/", ",") + "-"


def decode(text: str) -> str:
    """Read modified UTF-7; what is not valid stays as it is."""
    return _SHIFTED.sub(_unshift, text)


def _unshift(match: re.Match[str]) -> str:
    coded = match[1].replace(",", "/")
    if not coded:
        return "&"
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be")
    except ValueError:
        return match[0]
