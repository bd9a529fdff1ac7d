"""All roles in one process: for the demo's first minute, for tests, and to see the whole graph in one place."""

import asyncio
import os
import random
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ssl import SSLContext

from penfold.config.sections import Config, Listener
from penfold.directory.authenticator import Authenticator, LocalAuthenticator
from penfold.directory.secret_file import MemorySecrets
from penfold.directory.verifiers import VerifierTable
from penfold.fs.posix import PosixFileSystem
from penfold.model.ids import base32
from penfold.net.driver import Driver
from penfold.net.link import Session
from penfold.net.listener import Listener as Acceptor
from penfold.net.listener import bind_tcp, bind_unix
from penfold.net.tls import TlsFacts
from penfold.queue.memory import MemoryQueue
from penfold.service import compose
from penfold.service.compose import House, World
from penfold.service.journal import Journal
from penfold.service.mailers import AgentMailer
from penfold.telemetry.events import Recorder
from penfold.transport.receive.login import SaslLogin
from penfold.transport.receive.session import Reception, SmtpSession, session_name


class Together:
    """A whole mail host on one event loop."""

    def __init__(self, config: Config, recorder: Recorder, passwords: dict[str, str], tls: SSLContext | None) -> None:
        self._config = config
        self._recorder = recorder
        self._passwords = passwords
        self._tls = tls
        self._acceptors: list[Acceptor] = []
        self._sessions = 0
        self._threads = ThreadPoolExecutor(4, "penfold")

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        driver = Driver()
        house = House(self._config)
        world = World(time.time, random.random, self._new_id, self._recorder, driver.spawn)
        journal = Journal(self._recorder, time.time)
        queue = MemoryQueue()
        door = compose.door(house, queue, {}, world, journal)
        agent = compose.agent(house, queue, PosixFileSystem(), os.geteuid())
        manager = compose.dispatcher(house, queue, queue, [AgentMailer(agent, self._threads)], door, world)
        authenticator = self._authenticator(house)
        for listener in self._config.listen:
            login = _login(authenticator)
            reception = compose.reception(house, listener, door, world, journal, tls=self._tls, login=login)
            self._listen(driver, listener, reception)
        ready()
        try:
            await manager.run()
        finally:
            for acceptor in self._acceptors:
                acceptor.stop()
            await driver.drain(5.0)
            self._recorder.flush()

    def _listen(self, driver: Driver, listener: Listener, reception: Reception) -> None:
        sockets = [
            bind_unix(endpoint.path) if endpoint.path else bind_tcp(endpoint.host, endpoint.port)
            for endpoint in listener.addresses
        ]

        def session() -> Session:
            self._sessions += 1
            return SmtpSession(reception, session_name("T", self._sessions))

        context = self._tls
        implicit = (lambda: context) if listener.tls == "implicit" and context is not None else None
        acceptor = Acceptor(driver, sockets, session, tls=implicit, limit=self._config.limits.connections)
        acceptor.start()
        self._acceptors.append(acceptor)

    def _authenticator(self, house: House) -> LocalAuthenticator:
        key = secrets.token_bytes(32)
        table = VerifierTable(MemorySecrets(self._passwords), house.account, key)
        loop = asyncio.get_running_loop()
        return LocalAuthenticator(
            table, executor=ThreadPoolExecutor(1, "hash"), run=loop.run_in_executor, clock=time.monotonic, key=key
        )

    def _new_id(self) -> str:
        return base32(secrets.randbits(80))


def _login(authenticator: Authenticator) -> Callable[[str, str, TlsFacts | None], SaslLogin]:
    def begin(mechanism: str, client: str, tls: TlsFacts | None) -> SaslLogin:
        del tls
        return SaslLogin(authenticator, mechanism, client, nonce=secrets.token_urlsafe(18))

    return begin


__all__: Sequence[str] = ("Together",)
