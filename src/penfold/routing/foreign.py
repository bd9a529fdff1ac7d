"""The rule for everybody else's domains: transport table, smart host, MX.

Trust: tables are administrators'.
"""

from penfold.model import Address, Recipient, Reply, Route
from penfold.routing.base import Deliver, Lookup, Refuse
from penfold.routing.transport import parse_transport, smart_host_route, transport_keys
from penfold.routing.walk import Result, Walk


def foreign(walk: Walk, recipient: Recipient) -> Result | None:
    """Everybody else's domain: transport table, smart host, MX."""
    address = recipient.address
    if address.domain in walk.ground.ours:
        return None
    route = _by_transport(walk, address)
    if route is None:
        route = _default_route(walk, address)
    if isinstance(route, Reply):
        return Refuse(route, local=False)
    return Deliver(route, recipient, local=False)


def _by_transport(walk: Walk, address: Address) -> Route | Reply | None:
    keys = tuple(transport_keys(address))
    for key in keys:
        found = walk.ask("transport", key, lambda: (Lookup("transport", other) for other in keys))
        if found is not None:
            walk.note("transport", f"{key} -> {found.values[0]}", found.source)
            return parse_transport(found.values[0], address, walk.settings)
    return None


def _default_route(walk: Walk, address: Address) -> Route | Reply:
    if address.domain in walk.settings.relay_domains:
        walk.note("relay domain", address.domain)
    elif walk.settings.smart_host:
        walk.note("smart host", walk.settings.smart_host)
        return smart_host_route(address, walk.settings)
    else:
        walk.note("foreign domain", address.domain)
    return Route(walk.settings.default_mailer, address.domain, str(address))
