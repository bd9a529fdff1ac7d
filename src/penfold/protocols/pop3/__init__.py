"""POP3: the sans-IO cores of server and client.

Standards: RFC 1939; RFC 2449; RFC 2595; RFC 5034; RFC 6856
"""

from penfold.protocols.pop3.client import Client
from penfold.protocols.pop3.connection import ClientSettings
from penfold.protocols.pop3.responses import Response, from_reply
from penfold.protocols.pop3.server import Server
from penfold.protocols.pop3.settings import Language, ServerSettings

__all__ = ["Client", "ClientSettings", "Language", "Response", "Server", "ServerSettings", "from_reply"]
