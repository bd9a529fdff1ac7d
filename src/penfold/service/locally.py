"""Mail from this machine's own programs: what the ``sendmail`` socket, ``sendmail -bs`` and the maildrop share.

Trust: who calls is the kernel's word, by uid; root, the data directory's owner and ``delivery.trusted_users`` may name
any sender.
"""

import os

from penfold.config.sections import Config
from penfold.guard.relay import Networks
from penfold.intake.transaction import Door, Transaction
from penfold.message import complete
from penfold.message.header import facts
from penfold.model import Address
from penfold.service import values
from penfold.service.compose import House, World
from penfold.service.control import login_name
from penfold.service.journal import Journal
from penfold.service.rewrite import Completion
from penfold.transport.receive.pickup import Caller, LocalHouse
from penfold.transport.receive.reception import Reception


class Callers:
    """Knows the users of this machine by uid."""

    def __init__(self, config: Config) -> None:
        self._names = frozenset(config.delivery.trusted_users)
        self._uids = {0, os.stat(config.data).st_uid}

    def caller(self, uid: int) -> Caller:
        """Tell who it is, and whether its word about senders is believed."""
        name = login_name(uid)
        return Caller(name, uid, trusted=uid in self._uids or name in self._names)


def local_house(house: House, door: Door, world: World) -> LocalHouse:
    """Build what local submissions share."""
    config = house.config
    masks = Completion(hostname=config.hostname, clock=world.clock, new_id=world.new_id, masquerade=house.masquerade)
    return LocalHouse(
        door=door,
        hostname=config.hostname,
        domain=config.local_domains[0],
        new_id=world.new_id,
        rewrite=masks if house.masquerade.rules else None,
    )


class LocalCompletion:
    """Completes the header of a message that came by ``sendmail -bs``, with the warning where it is due."""

    def __init__(self, local: LocalHouse, trusted: frozenset[str]) -> None:
        self._local = local
        self._trusted = trusted

    def __call__(self, header: bytes, transaction: Transaction) -> bytes:
        """Give the header to store."""
        local, sender, user = self._local, transaction.facts.reverse_path, transaction.facts.origin.user
        own = Address(user, local.domain)
        missing = complete.missing_fields(
            facts(header),
            date=local.door.clock(),
            message_id=complete.new_message_id(local.new_id(), local.hostname),
            sender=sender or own,
        )
        whole = self._warning(sender, own) + missing + header
        return whole if local.rewrite is None else local.rewrite(whole, transaction)

    def _warning(self, sender: Address | None, own: Address) -> bytes:
        if sender == own or own.local in self._trusted:
            return b""
        shown = "<>" if sender is None else str(sender)
        text = f"X-Authentication-Warning: {self._local.hostname}: {own.local} set sender to {shown} using SMTP\r\n"
        return text.encode()


def local_reception(house: House, door: Door, world: World, journal: Journal) -> Reception:
    """Build what the sessions of ``sendmail -bs`` share: role local, which may send anywhere and logs in by its uid."""
    config = house.config
    callers = Callers(config)
    trusted = frozenset(config.delivery.trusted_users) | {login_name(0), login_name(os.stat(config.data).st_uid)}
    return Reception(
        door=door,
        settings=values.local_settings(config),
        role="local",
        spawn=world.spawn,
        log=journal,
        networks=Networks(()),
        trusted_xclient=Networks(()),
        rewrite=LocalCompletion(local_house(house, door, world), trusted),
        user_of=lambda uid: callers.caller(uid).name,
    )
