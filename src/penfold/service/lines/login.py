"""receive <-> auth: log-ins to be judged by the one role that reads password hashes.

Trust: user names and passwords are a stranger's, passed on as they are; the receiving end never sees a verifier of a
password, only (for SCRAM) the keys RFC 5802 lets a server hold.
"""

import asyncio
from socket import socket
from typing import TypeAlias

import msgspec

from penfold.directory.authenticator import BUSY, Authenticator, Granted, Refused, ScramAccount
from penfold.net.channel import Channel, ChannelClosed

RECORDS = "login"


class CheckPassword(msgspec.Struct, frozen=True, array_like=True, tag="password"):
    """Judge this."""

    user: str
    password: str
    client: str

    def __repr__(self) -> str:
        """Show without the password."""
        return f"CheckPassword({self.user!r}, ..., {self.client!r})"


class AskScram(msgspec.Struct, frozen=True, array_like=True, tag="scram"):
    """Give the keys for an exchange."""

    user: str
    client: str


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """How an exchange ended."""

    user: str
    client: str
    good: bool


FromReceive: TypeAlias = CheckPassword | AskScram | Ended
FromAuth: TypeAlias = Granted | Refused | ScramAccount


class LoginClient:
    """The receiving end: an Authenticator that asks another process; without one it is "not now"."""

    def __init__(self) -> None:
        self._channel: Channel[FromAuth, FromReceive] | None = None

    def join(self, sock: socket) -> None:
        """Ask this process from now on."""
        if self._channel is not None:
            self._channel.close()
        self._channel = Channel(sock, FromAuth, records=RECORDS, on_batch=lambda _: None)

    async def password(self, user: str, password: str, client: str) -> Granted | Refused:
        """Judge a password."""
        answer = await self._ask(CheckPassword(user, password, client))
        return answer if isinstance(answer, Granted | Refused) else Refused(BUSY)

    async def scram(self, user: str, client: str) -> ScramAccount | Refused:
        """Give the keys."""
        answer = await self._ask(AskScram(user, client))
        return answer if isinstance(answer, ScramAccount | Refused) else Refused(BUSY)

    def outcome(self, user: str, client: str, *, good: bool) -> None:
        """Pass on how an exchange ended."""
        if self._channel is not None:
            self._channel.try_send(Ended(user, client, good))

    async def _ask(self, message: FromReceive) -> FromAuth:
        if self._channel is None:
            return Refused(BUSY)
        try:
            return await self._channel.call(message)
        except ChannelClosed:
            return Refused(BUSY)


class LoginLine:
    """The judging end of one line."""

    def __init__(self, sock: socket, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel: Channel[FromReceive, FromAuth] = Channel(
            sock, FromReceive, records=RECORDS, on_batch=self._heard, on_calls=self._called
        )

    def _heard(self, messages: list[FromReceive]) -> None:
        for message in messages:
            if isinstance(message, Ended):
                self._authenticator.outcome(message.user, message.client, good=message.good)

    def _called(self, calls: list[tuple[int, FromReceive]]) -> None:
        for serial, message in calls:
            task = asyncio.get_running_loop().create_task(self._judge(serial, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _judge(self, serial: int, message: FromReceive) -> None:
        answer: FromAuth = Refused(BUSY)
        if isinstance(message, CheckPassword):
            answer = await self._authenticator.password(message.user, message.password, message.client)
        elif isinstance(message, AskScram):
            answer = await self._authenticator.scram(message.user, message.client)
        self._channel.answer(serial, answer)

    def close(self) -> None:
        """End the line."""
        self._channel.close()
