"""The certificates of this host, read once by the supervisor and handed to whoever speaks TLS.

SECURITY: key files are read before rights are dropped; a role gets a ready context and never the file.
"""

import os
from ssl import SSLContext, TLSVersion

from penfold.config.sections import Config
from penfold.model import ConfigError
from penfold.net.tls import KeyPair, read_pair, self_signed, server_context


class Certificates:
    """What this host shows to clients; ``server`` is None where it offers no TLS."""

    def __init__(self, config: Config) -> None:
        self.server: SSLContext | None = None
        pair = _pair(config)
        if pair is not None:
            self.server = server_context(pair)
            self.server.minimum_version = TLSVersion.TLSv1_3 if config.tls.minimum == "1.3" else TLSVersion.TLSv1_2


def _pair(config: Config) -> KeyPair | None:
    said = config.tls
    if not said.certificate:
        return None
    if said.certificate == "auto":
        return _own(config)
    try:
        return read_pair(said.certificate, said.key or said.certificate)
    except OSError as error:
        raise ConfigError(
            f"the certificate cannot be read: {error}", hint="set tls.certificate and tls.key to PEM files"
        ) from None


def _own(config: Config) -> KeyPair:
    """Use the self-signed certificate in the data directory; make it the first time."""
    certificate, key = f"{config.data}/tls/self-signed.pem", f"{config.data}/tls/self-signed.key"
    if not os.path.exists(key):
        pair = self_signed([config.hostname, "localhost", "127.0.0.1"])
        os.makedirs(os.path.dirname(key), mode=0o700, exist_ok=True)
        for path, octets in ((certificate, pair.certificate), (key, pair.key)):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(octets)
    return read_pair(certificate, key)
