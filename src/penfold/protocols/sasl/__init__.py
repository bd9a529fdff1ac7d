"""SASL exchanges, both sides, without I/O: shared by SMTP, POP3, IMAP and ManageSieve.

Standards: RFC 4422
"""

from penfold.protocols.sasl.base import (
    Challenge,
    Exchange,
    Granted,
    NeedVerifier,
    Password,
    Refused,
    Step,
    Verifier,
)
from penfold.protocols.sasl.client import ClientExchange, choose
from penfold.protocols.sasl.scram import derive, fake_verifier
from penfold.protocols.sasl.server import SERVER_MECHANISMS, start

__all__ = [
    "SERVER_MECHANISMS",
    "Challenge",
    "ClientExchange",
    "Exchange",
    "Granted",
    "NeedVerifier",
    "Password",
    "Refused",
    "Step",
    "Verifier",
    "choose",
    "derive",
    "fake_verifier",
    "start",
]
