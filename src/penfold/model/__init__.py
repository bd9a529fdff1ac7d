"""The vocabulary of mail, defined once: every other room speaks in these values and none adds a second word for one."""

from penfold.model.address import Address, AddressError, ascii_domain, parse_address
from penfold.model.envelope import BodyRef, BodyType, Envelope, Notify, Origin, Recipient, Return
from penfold.model.errors import (
    ConfigError,
    LocalProtocolError,
    MailError,
    Permanent,
    ProtocolError,
    RemoteProtocolError,
    Transient,
    failure,
    from_os_error,
)
from penfold.model.ids import QueueId
from penfold.model.job import (
    Deferred,
    Delivered,
    Expanded,
    Failed,
    Job,
    Outcome,
    Route,
    Settlement,
    Target,
)
from penfold.model.reply import Reply

__all__ = [
    "Address",
    "AddressError",
    "BodyRef",
    "BodyType",
    "ConfigError",
    "Deferred",
    "Delivered",
    "Envelope",
    "Expanded",
    "Failed",
    "Job",
    "LocalProtocolError",
    "MailError",
    "Notify",
    "Origin",
    "Outcome",
    "Permanent",
    "ProtocolError",
    "QueueId",
    "Recipient",
    "RemoteProtocolError",
    "Reply",
    "Return",
    "Route",
    "Settlement",
    "Target",
    "Transient",
    "ascii_domain",
    "failure",
    "from_os_error",
    "parse_address",
]
