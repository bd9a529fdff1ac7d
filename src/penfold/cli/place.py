"""Where the mail system of this machine has its data: for commands that have no time to read the configuration.

``-C FILE``, ``$PENFOLD_CONFIG`` or ``/etc/penfold/penfold.toml``: of that file only the line ``data = "..."`` above the
first table is looked for; without one (or when the file can't be read) it is ``/var/lib/penfold``.

Trust: runs as whoever calls it and gains nothing: a wrong directory is the caller's own.
"""

import os

DEFAULT_CONFIG = "/etc/penfold/penfold.toml"
DEFAULT_DATA = "/var/lib/penfold"
_LONGEST = 64 * 1024


def data_directory(config: str = "") -> str:
    """Name the data directory."""
    path = config or os.environ.get("PENFOLD_CONFIG") or DEFAULT_CONFIG
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST)
    except OSError:
        return DEFAULT_DATA
    found = _data_line(text)
    return os.path.join(os.path.dirname(os.path.abspath(path)), found) if found else DEFAULT_DATA


def _data_line(text: str) -> str:
    for line in text.splitlines():
        line = line.strip()  # noqa: PLW2901
        if line.startswith("["):
            return ""
        name, equals, value = line.partition("=")
        value = value.strip()
        if equals and name.strip() in {"data", '"data"'} and value[:1] in {'"', "'"}:
            return value[1:].partition(value[0])[0]
    return ""
