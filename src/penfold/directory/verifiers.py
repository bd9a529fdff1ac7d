"""Verifiers at hand: checks passwords and gives SCRAM its keys, for the one role that may.

Trust: user names and passwords are a stranger's; verifiers are the administrator's.
"""

from collections.abc import Callable

from penfold.directory import passwords
from penfold.directory.authenticator import ScramAccount
from penfold.directory.base import Account, Secrets
from penfold.protocols.sasl.scram import fake_verifier


class VerifierTable:
    """The verifiers of all accounts. ``key`` is a secret of this host, for the made-up verifiers of unknown users."""

    def __init__(self, secrets: Secrets, account: Callable[[str], Account | None], key: bytes) -> None:
        self._secrets = secrets
        self._account = account
        self._key = key
        passwords.dummy()  # SECURITY: made now, so that the first unknown user does not pay for it

    def check(self, user: str, password: str) -> str | None:
        """Give the account id if the password is right; takes as long for a user that does not exist. Blocking."""
        account = self._account(user)
        verifier = None if account is None else self._secrets.verifier(account.id)
        good = passwords.verify(verifier, password)
        return account.id if good and account is not None else None

    def scram(self, user: str) -> ScramAccount:
        """Give the SCRAM verifier, made up where there is none."""
        account = self._account(user)
        found = None if account is None else passwords.scram(self._secrets.verifier(account.id))
        verifier = found or fake_verifier(self._key, user.lower())
        return ScramAccount(user if account is None else account.id, verifier)
