"""SMTP, submission and LMTP: the sans-IO cores of server and client.

Standards: RFC 5321; RFC 2033; RFC 6409
"""

from penfold.protocols.smtp.server import Server
from penfold.protocols.smtp.settings import BareEnds, Role, ServerSettings

__all__ = ["BareEnds", "Role", "Server", "ServerSettings"]
