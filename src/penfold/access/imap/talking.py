"""NOOP, ID, ENABLE, COMPRESS: about the conversation itself.

Standards: RFC 9051 §6.1.2, §6.3.1; RFC 2971; RFC 4978; RFC 5161; RFC 7162 §3.2.3
"""

from penfold.access.imap.client import Answer, Client, Handler, Pieces
from penfold.protocols.imap import responses
from penfold.protocols.imap.events import Command
from penfold.protocols.imap.sessions import Compress, Enable, Id, Noop


def noop(client: Client, command: Command) -> Answer:
    """Answer NOOP: the session tells what is new."""
    del client, command
    return None


def identity(client: Client, command: Command) -> Pieces:
    """Answer ID."""
    del command
    yield responses.identity(client.service.identity)
    return None


def enable(client: Client, command: Command) -> Answer:
    """Answer ENABLE; the core enables, here is what follows from it."""
    request: Enable = command.request
    if {"CONDSTORE", "QRESYNC"} & set(request.names):
        client.condstore = True
    return None


def compress(client: Client, command: Command) -> Answer:
    """Answer COMPRESS; the core begins."""
    del client, command
    return None


HANDLERS: dict[type, Handler] = {Noop: noop, Id: identity, Enable: enable, Compress: compress}
