"""The configuration file: whatever stands in it, the only error is ConfigError, with a place in the file."""

from penfold import config
from penfold.config.document import Document
from penfold.config.render import as_toml, changes
from penfold.model import ConfigError

SEEDS: list[bytes] = [
    b'hostname = "mx.test"\n[listen.a]\naddresses = ["[::1]:25", "unix:/x"]\ntls = "starttls"\n',
    b'[queue]\nretry = ["5m", "4h"]\njitter = 0.5\n[[account]]\naddress = "a@b.c"\nquota = "5MB"\n',
    b'[routing]\nmasquerade = { "a.b" = "c.d" }\n[relay]\nnetworks = ["::/0"]\n',
]


def target(data: bytes) -> None:
    """Load the octets as a configuration, and show what came of it."""
    text = data.decode("utf-8", "replace")
    try:
        found = config.loads(text, hostname="mx.test")
    except ConfigError as error:
        str(error)
        return
    list(changes(Document("f", text)))
    as_toml(found)
