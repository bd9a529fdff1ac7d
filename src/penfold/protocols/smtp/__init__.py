"""SMTP, submission and LMTP: the sans-IO cores of server and client.

Standards: RFC 5321; RFC 2033; RFC 6409
"""

from penfold.protocols.smtp.client import Client
from penfold.protocols.smtp.connection import ClientSettings
from penfold.protocols.smtp.server import Server
from penfold.protocols.smtp.settings import BareEnds, Role, ServerSettings
from penfold.protocols.smtp.steps import ForwardPath, Transaction

__all__ = ["BareEnds", "Client", "ClientSettings", "ForwardPath", "Role", "Server", "ServerSettings", "Transaction"]
