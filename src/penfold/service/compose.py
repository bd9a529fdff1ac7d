"""The composition root: builds the object graph by constructor calls. Reading it tells what runs.

Each function builds what one role needs from the configuration and from the seams it is handed; the roles (and the
single process of ``--together``) differ only in what they hand in: the real queue, or its other end in another process.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from penfold.config.sections import Config, Listener
from penfold.delivery.agent import Agent
from penfold.delivery.forward import ForwardFiles
from penfold.delivery.mailboxes import Mailboxes
from penfold.directory.aliases import AliasFile
from penfold.directory.answers import Tables
from penfold.directory.base import Account, AnyTable, MappingTable
from penfold.directory.include import IncludeTable
from penfold.directory.maps import transport_file, virtual_file
from penfold.directory.memory import MemoryDirectory
from penfold.directory.passwd import PasswdDirectory
from penfold.directory.routing import Routing
from penfold.fs.base import FileSystem
from penfold.guard.base import Check, Guard
from penfold.guard.limits import Meter, RateLimits
from penfold.guard.relay import Networks, RelayRule
from penfold.guard.sender import SenderRights
from penfold.intake.transaction import Door
from penfold.message.dsn import Notifier
from penfold.model import Address, ConfigError
from penfold.net.driver import Driver
from penfold.net.tls import TlsFacts
from penfold.queue.base import Bodies, Custody, Queue
from penfold.routing.resolve import Resolver
from penfold.service import unix, values
from penfold.service.journal import Journal
from penfold.service.outgoing import ways_out
from penfold.service.report import Reporter
from penfold.service.rewrite import Completion
from penfold.telemetry.events import Recorder
from penfold.transport.dispatch.assemble import Settings, assemble
from penfold.transport.dispatch.dispatcher import Dispatcher
from penfold.transport.mailers.base import Mailer
from penfold.transport.mailers.hop import Account as HostAccount
from penfold.transport.receive.reception import Login, OpenSessions, Reception


@dataclass(frozen=True, slots=True)
class World:
    """What the composition takes from the process around it: clocks, chance, names, and where events go."""

    clock: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]
    recorder: Recorder
    spawn: Callable[[Coroutine[Any, Any, None]], object]


class House:
    """Directory and routing of one generation of the configuration, shared by whatever runs in this process."""

    def __init__(self, config: Config, report: Callable[[ConfigError], None] | None = None) -> None:
        self.config = config
        self.accounts = MemoryDirectory(values.accounts(config))
        self.unix = unix.directory(config)
        self.tables = Tables(*_tables(config, self.accounts, self.unix, report))
        self.router = Resolver(values.router_settings(config, self.tables.names))
        self.routing = Routing(self.router, self.tables)
        self.masquerade = values.masquerade(config)

    def account(self, key: str) -> Account | None:
        """Find an account, virtual or Unix."""
        return self.accounts.account(key) or (self.unix.account(key) if self.unix is not None else None)

    def owns(self, user: str, path: Address) -> bool:
        """Tell whether an account may send as an address: its own (any extension), an alias, or one given to it."""
        account = self.account(user)
        if account is None:
            return False
        text = f"{path.local.lower()}@{path.domain}"
        plain = f"{_without_extension(path.local.lower(), self.config.routing.separator)}@{path.domain}"
        if account.id in {text, plain} or text in account.aliases or plain in account.aliases:
            return True
        return any(allowed in {text, f"@{path.domain}"} for allowed in _send_as(self.config, account.id))


def _without_extension(local: str, separators: str) -> str:
    cut = min((at for at in map(local.find, separators) if at > 0), default=len(local))
    return local[:cut]


def _send_as(config: Config, account: str) -> tuple[str, ...]:
    return next((said.send_as for said in config.accounts if said.address.lower() == account), ())


def _tables(
    config: Config,
    accounts: MemoryDirectory,
    unix: PasswdDirectory | None,
    report: Callable[[ConfigError], None] | None,
) -> list[Mapping[str, AnyTable]]:
    groups: list[Mapping[str, AnyTable]] = [accounts.tables()]
    if unix is not None:
        groups.append(unix.tables())
    groups += [{"aliases": AliasFile(path, report=report)} for path in config.routing.aliases]
    groups += [{"virtual": virtual_file(path, report=report)} for path in config.routing.virtual]
    if config.routing.transports:
        groups.append({"transport": transport_file(config.routing.transports, report=report)})
    groups.append({"virtual": MappingTable("virtual", values.virtual_entries(config), "penfold.toml")})
    groups.append({"include": IncludeTable()})
    return groups


def door(house: House, queue: Queue, meters: Mapping[str, Meter], world: World, journal: Journal) -> Door:
    """Build the one door."""
    config = house.config
    checks: list[Check] = [RelayRule()]
    if meters:
        checks.insert(0, RateLimits(values.rates(config), meters, Networks(config.limits.exempt)))
    if config.auth.sender_rights:
        checks.append(SenderRights(house.owns))
    return Door(
        queue=queue,
        routing=house.routing,
        guard=Guard(checks),
        hostname=config.hostname,
        limits=values.limits(config),
        clock=world.clock,
        watcher=journal,
    )


def reception(
    house: House,
    listener: Listener,
    the_door: Door,
    world: World,
    journal: Journal,
    *,
    tls: SSLContext | None,
    login: Callable[[str, str, TlsFacts | None], Login] | None,
    open_sessions: OpenSessions | None = None,
) -> Reception:
    """Build what the sessions of one listener share."""
    config = house.config
    role = values.room_of(listener)
    submission = role == "submission"
    completion = Completion(
        hostname=config.hostname,
        clock=world.clock,
        new_id=world.new_id,
        masquerade=house.masquerade,
    )
    return Reception(
        door=the_door,
        settings=values.server_settings(config, listener),
        role=role,
        spawn=world.spawn,
        log=journal,
        networks=Networks(() if role == "lmtp" else config.relay.networks),
        trusted_xclient=Networks(listener.xclient_from),
        tls=tls,
        login=login if submission else None,
        rewrite=completion if submission or house.masquerade.rules else None,
        open_sessions=open_sessions,
        session_seconds=config.limits.session_timeout,
        session_messages=config.limits.messages_per_session,
    )


def dispatcher(
    house: House,
    custody: Custody,
    bodies: Bodies,
    mailers: Sequence[Mailer],
    the_door: Door,
    world: World,
) -> Dispatcher:
    """Build the queue manager."""
    config = house.config
    who = values.postmaster(config)
    notifier = Notifier(host=config.hostname, postmaster=who)
    return assemble(
        custody,
        bodies,
        house.router,
        house.tables,
        {mailer.name: mailer for mailer in mailers},
        report=Reporter(notifier, config.hostname, world.new_id),
        submit=the_door.submit,
        recorder=world.recorder,
        clock=world.clock,
        random=world.random,
        settings=Settings(
            calendar=values.calendar(config),
            back_off=values.back_off(config),
            lanes=values.lane_policies(config),
            postmaster=who,
            double_bounces=who,
            max_hops=config.limits.received_fields,
        ),
    )


def agent(house: House, bodies: Bodies, fs: FileSystem, uid: int) -> Agent:
    """Build the local delivery agent."""
    config = house.config
    return Agent(
        bodies=bodies,
        mailboxes=Mailboxes(
            fs, hostname=config.hostname, locks=values.locks(config), mode=int(config.delivery.mode, 8)
        ),
        account=house.account,
        forward=ForwardFiles(fs, uid=uid) if config.delivery.forward_for_virtual else None,
    )


def outgoing(house: House, bodies: Bodies, driver: Driver, account: HostAccount | None = None) -> list[Mailer]:
    """Build the ways out to other hosts; ``account`` is our log-in at the smart host."""
    return [*ways_out(house.config, bodies, driver, account=account)]
