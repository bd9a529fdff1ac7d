"""A log-in: the SASL exchange of the protocol room, judged by an Authenticator.

Standards: RFC 4954 §4, §6; RFC 4616; RFC 5802; RFC 7677
Trust: every octet is a stranger's. Names and passwords go to the authenticator and nowhere else, least of all to a log.
"""

from penfold.directory.authenticator import BAD, Authenticator, Granted, Refused, ScramAccount
from penfold.model import Reply
from penfold.protocols.sasl import base as sasl
from penfold.protocols.sasl.server import start

SUCCEEDED = Reply.of(235, "2.7.0", "Authentication succeeded")
UNKNOWN = Reply.of(504, "5.5.4", "Unrecognised authentication mechanism")
OTHER_USER = Reply.of(535, "5.7.8", "Acting for another user is not possible here")
MALFORMED = Reply.of(501, "5.5.2", "Malformed authentication response")


class SaslLogin:
    """One log-in of one client."""

    def __init__(self, authenticator: Authenticator, mechanism: str, client: str, *, nonce: str) -> None:
        self._authenticator = authenticator
        self._client = client
        self._exchange = start(mechanism, nonce=nonce)
        self._claimed = ""
        self._account: ScramAccount | None = None
        self.mechanism = mechanism
        self.user = ""

    async def step(self, data: bytes | None) -> bytes | Reply:
        """Take what the client said; gives a challenge, or how it ended."""
        if self._exchange is None:
            return UNKNOWN
        step = self._exchange.step(data)
        if isinstance(step, sasl.NeedVerifier):
            found = await self._verifier(step.user)
            if isinstance(found, Reply):
                return found
            step = self._exchange.verifier(found)
        if isinstance(step, sasl.Challenge):
            return step.data
        if isinstance(step, sasl.Password):
            return await self._check(step)
        return self._ended(step)

    async def _verifier(self, user: str) -> sasl.Verifier | Reply:
        self._claimed = user
        found = await self._authenticator.scram(user, self._client)
        if isinstance(found, Refused):
            return found.reply
        self._account = found
        return found.verifier

    async def _check(self, said: sasl.Password) -> Reply:
        self.user = said.authcid
        if said.authzid and said.authzid != said.authcid:
            return OTHER_USER
        judged = await self._authenticator.password(said.authcid, said.password, self._client)
        if isinstance(judged, Granted):
            self.user = judged.user
            return SUCCEEDED
        return judged.reply

    def _ended(self, step: sasl.Step) -> Reply:
        self.user = self._claimed
        if isinstance(step, sasl.Granted):
            if step.authzid and step.authzid != step.user:
                return OTHER_USER
            account = self._account
            good = account is not None and account.verifier.known
            self._authenticator.outcome(self._claimed, self._client, good=good)
            if account is None or not good:
                return BAD
            self.user = account.user
            return SUCCEEDED
        if self._claimed:
            self._authenticator.outcome(self._claimed, self._client, good=False)
            return BAD
        return MALFORMED
