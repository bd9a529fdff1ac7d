"""The mailer ``lmtp``: hands mail to a neighbour that answers for each recipient.

Standards: RFC 2033
"""

from penfold.transport.mailers.smtp import SmtpMailer


class LmtpMailer(SmtpMailer):
    """Speaks LMTP, to a Unix socket or a host; its settings' client must say ``lmtp``."""

    name = "lmtp"
    port = 24
    exchanges = False
