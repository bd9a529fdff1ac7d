"""Names in a Maildir, folder names and maildirsize files of anyone's making."""

from penfold.formats import Quota, folder_names, folder_path
from penfold.formats.flags import from_maildir_info, from_status_fields, maildir_info
from penfold.formats.maildir import safe_host
from penfold.formats.maildirsize import parse, root_of

SEEDS: list[bytes] = [
    b"1700000001.Q0AB1R1.mx,S=117:2,FS",
    b".Sent.&AOQ-rger.2026",
    b"100S,5C\n12 1\n-3 -1\n",
]


def target(data: bytes) -> None:
    """Read everything as each of them."""
    name = data.decode("utf-8", "surrogateescape")
    assert from_maildir_info(name) >= from_maildir_info("x:2," + maildir_info(from_maildir_info(name)))
    assert not set("/:,") & set(safe_host(name))
    root_of(name)
    from_status_fields(data)
    parse(data, Quota(100, 5))
    names = folder_names(name)
    try:
        path = folder_path("/m", names)
    except ValueError:
        return
    assert path == "/m" or ("/" not in path[3:] and path.startswith("/m/."))
