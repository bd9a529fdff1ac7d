"""What an IMAP server core offers, demands and endures.

Standards: RFC 9051 §4, §5.4, §6.1.1; RFC 7162 §4; RFC 7888; RFC 7889
"""

import msgspec

BASIC = (
    "IMAP4rev1",
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "UNSELECT",
    "MOVE",
    "CHILDREN",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a server core; sizes in octets, times in seconds, 0 of a limit means none.

    ``capabilities`` are what the application makes true, in the order they are announced; what follows from other
    settings is added by the core: STARTTLS (``starttls``), LOGINDISABLED (in the clear, without ``clear_login``), AUTH=
    (``mechanisms`` in the clear, ``tls_mechanisms`` under TLS), APPENDLIMIT (``max_append``, if ``"APPENDLIMIT"`` is
    among the capabilities). Commands of an extension that is not offered are unknown.

    A command may have ``max_command`` octets in all, a line of it ``max_line`` and a literal ``max_literal``; before
    log-in ``max_command_before_login`` is the limit of all three (tokens of OAUTHBEARER are long). Messages are no part
    of that: each may have ``max_append``. Of a command that is refused ``max_swallow`` octets
    (``max_swallow_before_login``) are read and dropped; a client that sends more of it unasked is cut off.
    ``max_errors`` BADs without a success between them end the conversation, before log-in ``max_errors_before_login``
    (failed log-ins count, and nothing is forgiven) or ``max_commands_before_login``.
    """

    hostname: str
    banner: str = "Penfold ready"
    capabilities: tuple[str, ...] = BASIC
    starttls: bool = False
    clear_login: bool = False
    mechanisms: tuple[str, ...] = ()
    tls_mechanisms: tuple[str, ...] = ()
    max_line: int = 65536
    max_literal: int = 65536
    max_command: int = 262144
    max_command_before_login: int = 12288
    max_append: int = 50 * 1024 * 1024
    max_swallow: int = 64 * 1024 * 1024
    max_swallow_before_login: int = 65536
    max_errors: int = 20
    max_errors_before_login: int = 5
    max_commands_before_login: int = 50
    login_timeout: float = 60.0
    idle_timeout: float = 1800.0
    append_timeout: float = 300.0

    def offers(self, *capabilities: str) -> bool:
        """Tell whether one of these is among the capabilities; a name that ends in = stands for all it begins."""
        mine = self.capabilities
        return any(
            each in mine or (each[-1:] == "=" and any(my.startswith(each) for my in mine)) for each in capabilities
        )
