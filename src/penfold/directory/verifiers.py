"""Checks log-ins against a directory and its secrets: the blocking half of ``directory.authenticator``.

Trust: user names and passwords are a stranger's; only the role that checks passwords builds this.
"""

from penfold.directory.authenticator import ScramVerifier
from penfold.directory.base import Directory, Secrets
from penfold.directory.passwords import dummy, dummy_scram, scram, verify
from penfold.model import AddressError, Transient, parse_address


class SecretVerifiers:
    """Finds accounts by address, further address or login name; ``home`` completes a user name without a domain.

    ``key`` is a secret of this host, from which the SCRAM verifiers of unknown users are made up.
    """

    def __init__(self, directory: Directory, secrets: Secrets, *, key: bytes, home: str = "") -> None:
        self._directory = directory
        self._secrets = secrets
        self._key = key
        self._home = home
        dummy()  # SECURITY: made now, so that the first unknown user does not pay for it

    def check(self, user: str, password: str) -> str | None:
        """Give the account id if the password is right; spends the same time for unknown users. Blocking."""
        account = self._account(user)
        verifier = self._secrets.verifier(account) if account is not None else None
        return account if verify(verifier, password) else None

    def scram(self, user: str) -> ScramVerifier:
        """Give the SCRAM verifier, made up where there is none."""
        account = self._account(user)
        keys = scram(self._secrets.verifier(account)) if account is not None else None
        known = keys is not None
        keys = keys or dummy_scram(user.lower(), self._key)
        return ScramVerifier(account or user, keys.salt, keys.iterations, keys.stored_key, keys.server_key, known)

    def _account(self, user: str) -> str | None:
        try:
            found = self._directory.account(user) or self._directory.account(_complete(user, self._home))
        except (Transient, AddressError):
            return None
        return None if found is None else found.id


def _complete(user: str, home: str) -> str:
    address = parse_address(user)
    return f"{address.local.lower()}@{address.domain or home}"
