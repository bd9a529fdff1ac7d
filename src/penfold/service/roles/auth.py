"""Role auth: judges log-ins; the only process that ever sees a password hash.

Trust: what it is asked comes from strangers through role receive.
"""

import asyncio
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from socket import socket

from penfold.config.load import load_secrets
from penfold.config.sections import Config
from penfold.directory.authenticator import LocalAuthenticator
from penfold.directory.secret_file import MemorySecrets
from penfold.directory.verifiers import VerifierTable
from penfold.service.apart import apart
from penfold.service.compose import House
from penfold.service.lines.login import LoginLine
from penfold.service.roles.base import Place


class Auth:
    """The role. Its place's ``secrets`` are the verifiers, by account."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lines: list[LoginLine] = []

    async def start(self) -> None:
        """Load the verifiers."""
        config = self._place.config
        house = House(config)
        key = secrets.token_bytes(32)
        table = VerifierTable(MemorySecrets(self._place.secrets or {}), house.account, key)
        self._threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1)), "hash")
        self._authenticator = LocalAuthenticator(
            table,
            executor=self._threads,
            run=asyncio.get_running_loop().run_in_executor,
            clock=time.monotonic,
            key=key,
            line=config.auth.waiting,
        )

    def join(self, role: str, place: int, sock: socket) -> None:
        """Take a line to a receiving process."""
        del role, place
        self._lines.append(LoginLine(sock, self._authenticator))

    async def drain(self, seconds: float) -> None:
        """End."""
        del seconds
        for line in self._lines:
            line.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def verifiers(config: Config) -> dict[str, str]:
    """Gather the password verifiers of all accounts, before rights are given up. Raises ConfigError."""

    def gather() -> dict[str, str]:
        known = {account.address.lower(): account.password_hash for account in config.accounts if account.password_hash}
        if config.secrets:
            known |= {address.lower(): said for address, said in load_secrets(config.secrets).passwords.items()}
        return known

    return apart(gather, dict[str, str])
