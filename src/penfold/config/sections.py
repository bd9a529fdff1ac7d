"""The sections of ``penfold.toml`` as frozen values: every option with its default, its kind and what it means.

The classes are the single source: the loader reads by them, ``penfold config explain`` prints from them, and the
reference page is generated from them. Durations are seconds (float), sizes octets, networks text in CIDR form, domains
lower-case A-labels, addresses text in canonical form, paths absolute.

Options whose default depends on others (``""`` or ``"by role"`` here) are completed by ``config.load``: who holds a
loaded Config never sees the placeholder.
"""

from typing import Annotated, ClassVar

import msgspec

from penfold.config.kinds import (
    DAY,
    GIB,
    HOUR,
    KIB,
    MIB,
    MINUTE,
    Choice,
    Count,
    Duration,
    FilePath,
    Flag,
    Fraction,
    Kind,
    Names,
    Secret,
    Several,
    Size,
    Text,
)
from penfold.config.places import Endpoint, address, domain, endpoint, ip_address, network

_USER = r"[a-z_][a-z0-9_-]{0,30}"
_NEXT_HOP = r"(\[[^\[\]\s]{1,255}\]|[A-Za-z0-9._-]{1,255})(:[0-9]{1,5})?"
_MAILBOX = r"(maildir|mbox|mmdf|mh):.+"
_MODES = ("0600", "0640", "0660", "0644")


_NAME = Text("", pattern=r"[A-Za-z0-9_-]{1,40}", example='"mx1"')


class Part:
    """Marks a field that is a table of its own: ``[limits]``."""

    def __init__(self, doc: str) -> None:
        self.doc = doc


class Rows:
    """Marks a field that holds many tables: ``[listen.NAME]`` (named) or ``[[account]]`` (in a row)."""

    def __init__(self, doc: str, *, table: str, names: Kind | None = None) -> None:
        self.doc = doc
        self.table = table
        self.names = names

    @property
    def named(self) -> bool:
        """Whether each table has a name of its own."""
        return self.names is not None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of options."""


class Listener(Section, frozen=True, kw_only=True):
    """One place where mail comes in or is read. The default listens on this machine only: for the world, say so."""

    name: str = ""
    role: Annotated[
        str,
        Choice(
            "What is spoken here: `smtp` takes mail from other hosts, `submission` and `submissions` from our own "
            "users who log in (RFC 6409, RFC 8314), `lmtp` from a trusted neighbour (RFC 2033; never relays). Users "
            "read their mail by `imap` and `pop3`, or `imaps` and `pop3s`.",
            words=("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"),
        ),
    ] = "smtp"
    addresses: Annotated[
        tuple[Endpoint, ...],
        Several(
            'Where to listen: `"127.0.0.1:25"`, `"[::1]:25"`, `"0.0.0.0:25"` for every IPv4 address, `"[::]:25"` for '
            'every IPv6 address, or `"unix:/path"`.',
            of=endpoint(""),
            least=1,
            most=64,
        ),
    ]
    tls: Annotated[
        str,
        Choice(
            "`starttls` offers TLS, `implicit` begins with it, `none` has neither. `by role` means implicit for "
            "submissions, imaps and pop3s, none for lmtp, and for the others starttls where `tls.certificate` is set.",
            words=("by role", "none", "starttls", "implicit"),
        ),
    ] = "by role"
    proxy_protocol: Annotated[
        tuple[str, ...],
        Several(
            "Load balancers that must open each connection with a PROXY header (v1 or v2) naming the real client. "
            "Nobody else is believed.",
            of=network(""),
        ),
    ] = ()
    xclient_from: Annotated[
        tuple[str, ...],
        Several("Trusted neighbours that may use XCLIENT to name the real client.", of=network("")),
    ] = ()
    verify: Annotated[
        bool,
        Flag("Answer VRFY truly, and EXPN with a list's members. Off, VRFY says 252 to everybody (RFC 5321 §7.3)."),
    ] = False
    auth_without_tls: Annotated[bool, Flag("Offer passwords in the clear before TLS. Only for tests on loopback.")] = (
        False
    )


class Limits(Section, frozen=True, kw_only=True):
    """What one client, one session or one message may use up. Rates count per client address over all processes."""

    message_size: Annotated[
        int, Size("The largest message taken in (the SIZE announced, RFC 1870).", least=1 * KIB, most=2 * GIB)
    ] = 50 * MIB
    header_size: Annotated[int, Size("The largest header of a message.", least=4 * KIB, most=64 * MIB)] = 1 * MIB
    recipients: Annotated[
        int,
        Count("Recipients of one message; RFC 5321 §4.5.3.1.8 asks for at least 100.", 1, 100_000, "recipients"),
    ] = 1000
    errors: Annotated[int, Count("Refused commands before a session is ended with 421.", 1, 1000, "errors")] = 20
    commands: Annotated[
        int, Count("Commands that move no mail (NOOP, RSET, VRFY …) in one session.", 10, 1_000_000, "commands")
    ] = 500
    messages_per_session: Annotated[
        int, Count("Messages in one session before it is ended with 421.", 1, 1_000_000, "messages")
    ] = 1000
    connections: Annotated[int, Count("Open sessions in all.", 1, 1_000_000, "connections")] = 10_000
    connections_per_client: Annotated[
        int, Count("Open sessions of one client address.", 1, 1_000_000, "connections")
    ] = 50
    connection_rate: Annotated[
        int, Count("New sessions of one client in a minute; 0 is no limit.", 0, 10_000_000, "connections a minute")
    ] = 600
    message_rate: Annotated[
        int, Count("Messages of one client in a minute; 0 is no limit.", 0, 10_000_000, "messages a minute")
    ] = 0
    recipient_rate: Annotated[
        int, Count("Recipients of one client in a minute; 0 is no limit.", 0, 10_000_000, "recipients a minute")
    ] = 0
    exempt: Annotated[
        tuple[str, ...], Several("Clients that the per-client limits and rates spare.", of=network(""))
    ] = ("127.0.0.0/8", "::1/128")
    command_timeout: Annotated[
        float, Duration("How long to wait for a command; RFC 5321 §4.5.3.2.7 asks for 5m.", 1, 1 * HOUR)
    ] = 5 * MINUTE
    data_timeout: Annotated[float, Duration("How long to wait for the next octets of a message.", 1, 1 * HOUR)] = (
        3 * MINUTE
    )
    session_timeout: Annotated[float, Duration("The longest session.", 10, 7 * DAY)] = 2 * HOUR
    received_fields: Annotated[
        int, Count("Received fields after which a message is taken to loop (RFC 5321 §6.3).", 10, 1000, "fields")
    ] = 100


class Tls(Section, frozen=True, kw_only=True):
    """The certificate shown to clients, and how we speak TLS."""

    certificate: Annotated[
        str,
        FilePath(
            "PEM file with the certificate and its chain. Empty: no TLS is offered. `auto`: a self-signed certificate "
            "is made in the data directory (for the demo and for tests).",
            words=("auto",),
        ),
    ] = ""
    key: Annotated[str, FilePath("PEM file with the private key; empty when it is in the certificate's file.")] = ""
    minimum: Annotated[
        str, Choice("The oldest version spoken (RFC 8996 forbids older ones).", words=("1.2", "1.3"))
    ] = "1.2"
    outgoing: Annotated[
        str,
        Choice(
            "Towards other hosts: `opportunistic` uses TLS where offered, `required` never sends in the clear, `none` "
            "never uses TLS.",
            words=("opportunistic", "required", "none"),
        ),
    ] = "opportunistic"
    client_ca: Annotated[
        str,
        FilePath("PEM file of the authorities trusted when a next hop's certificate must verify; empty: the system's."),
    ] = ""


class Auth(Section, frozen=True, kw_only=True):
    """How our own users log in."""

    mechanisms: Annotated[
        tuple[str, ...],
        Several(
            "SASL mechanisms offered, best first.",
            of=Choice("", words=("SCRAM-SHA-256", "PLAIN", "LOGIN")),
        ),
    ] = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    failures: Annotated[
        int, Count("Failed log-ins of one client or account in `window` before it has to wait.", 1, 10_000, "failures")
    ] = 10
    window: Annotated[float, Duration("How long failed log-ins are remembered.", 1, 7 * DAY)] = 15 * MINUTE
    waiting: Annotated[
        int, Count("Log-ins that may wait for a hash to be computed; further ones hear 454.", 1, 10_000, "log-ins")
    ] = 64
    sender_rights: Annotated[
        bool, Flag("A user may send only as its own address, its aliases, and addresses listed as `send_as`.")
    ] = True


class Relay(Section, frozen=True, kw_only=True):
    """Who may send to other people's domains. Closed by default: only users who log in."""

    networks: Annotated[
        tuple[str, ...],
        Several("Networks whose hosts may relay without logging in. Never the whole Internet.", of=network("")),
    ] = ()
    domains: Annotated[
        tuple[str, ...],
        Several("Domains that are not ours for which we take mail from anybody (as a backup MX does).", of=domain("")),
    ] = ()


class Queue(Section, frozen=True, kw_only=True):
    """How long and how often a delivery is tried."""

    retry: Annotated[
        tuple[float, ...],
        Several(
            "The retry calendar: how long to wait after the first, second … attempt; the last is repeated.",
            of=Duration("", 1, 7 * DAY),
            least=1,
            most=100,
        ),
    ] = (1 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 1 * HOUR, 2 * HOUR, 4 * HOUR)
    jitter: Annotated[
        float, Fraction("How much of each waiting time is left to chance, so that retries do not march in step.")
    ] = 0.1
    lifetime: Annotated[
        float,
        Duration(
            "How long delivery is tried before the mail is bounced (RFC 5321 §4.5.4.1: 4 to 5 days).", 60, 60 * DAY
        ),
    ] = 5 * DAY
    warning: Annotated[
        float, Duration("After this time the sender hears of the delay, once; 0 is never.", 0, 60 * DAY)
    ] = 4 * HOUR
    bounce_lifetime: Annotated[float, Duration("How long delivery of a bounce is tried.", 0, 60 * DAY)] = 2 * DAY
    dead_host: Annotated[
        float, Duration("How long a destination that could not be reached is left alone.", 0, 1 * DAY)
    ] = 5 * MINUTE
    reserve: Annotated[
        int,
        Size("Free space below which new mail is refused with 452, so that what is queued can still be settled."),
    ] = 256 * MIB
    reserve_inodes: Annotated[
        int, Count("Free inodes below which new mail is refused with 452.", 0, 1_000_000_000, "inodes")
    ] = 1000
    segment_size: Annotated[int, Size("The largest intake segment.", least=1 * MIB, most=1 * GIB)] = 64 * MIB
    inline_size: Annotated[
        int, Size("Bodies up to this size lie in the segment, larger ones in a file of their own.", most=16 * MIB)
    ] = 256 * KIB


class Concurrency(Section, frozen=True, kw_only=True):
    """How many deliveries run at once."""

    total: Annotated[int, Count("Deliveries to other hosts in all.", 1, 100_000, "connections")] = 100
    initial: Annotated[int, Count("Connections to one destination to begin with.", 1, 1000, "connections")] = 5
    most: Annotated[int, Count("Connections to one destination at most.", 1, 1000, "connections")] = 20
    messages_per_connection: Annotated[
        int, Count("Messages sent over one connection before it is closed.", 1, 100_000, "messages")
    ] = 100
    programs: Annotated[int, Count("Programs (pipes) running at once.", 1, 1000, "programs")] = 10
    local: Annotated[int, Count("Local deliveries under way at once.", 1, 100_000, "deliveries")] = 200


class Routing(Section, frozen=True, kw_only=True):
    """Where mail goes."""

    aliases: Annotated[
        tuple[str, ...], Several("Aliases files, in the format of sendmail's, asked in this order.", of=FilePath(""))
    ] = ()
    virtual: Annotated[
        tuple[str, ...],
        Several("Tables of virtual users: address or @domain, then where its mail goes.", of=FilePath("")),
    ] = ()
    transports: Annotated[
        str, FilePath("Table of domains and the way out each takes (`example.net smtp:[gateway.example]:2525`).")
    ] = ""
    smart_host: Annotated[
        str,
        Text(
            "The host that gets all mail for other domains. In brackets: no MX lookup. Empty: mail goes to each "
            "domain's own MX hosts.",
            pattern=f"({_NEXT_HOP})?",
            example='"[smtp.provider.example]:587"',
        ),
    ] = ""
    smart_host_tls: Annotated[
        str,
        Choice("TLS towards the smart host.", words=("required", "opportunistic", "implicit", "none")),
    ] = "required"
    smart_host_login: Annotated[
        str, Text("Name of the log-in for the smart host: a `[login.NAME]` table of the secrets file. Empty: none.")
    ] = ""
    masquerade: Annotated[
        dict[str, str],
        Names(
            "Domains of our own that are shown as another one in the addresses of outgoing mail "
            '(`{ "host.example.org" = "example.org" }`).',
            of=domain(""),
            keys=domain(""),
        ),
    ] = {}
    separator: Annotated[
        str,
        Text(
            "The characters of which any one parts user and extension (ada+lists); empty: none.",
            pattern=r"[+\-_=.#]{0,4}",
            example='"+"',
        ),
    ] = "+"
    catch_all: Annotated[
        dict[str, str],
        Names(
            "Domains of ours and the address that gets mail for unknown users there.", of=address(""), keys=domain("")
        ),
    ] = {}


class Delivery(Section, frozen=True, kw_only=True):
    """How mail is put into mailboxes and handed to programs."""

    mail_root: Annotated[
        str, FilePath("Directory under which relative mailbox paths lie. Empty: `mail` in the data directory.")
    ] = ""
    format: Annotated[
        str, Choice("The format of mailboxes that name none.", words=("maildir", "mbox", "mmdf", "mh"))
    ] = "maildir"
    locks: Annotated[
        tuple[str, ...],
        Several(
            "Locks taken on an mbox or MMDF file, in this order. Other programs must use at least one of them too.",
            of=Choice("", words=("dotlock", "fcntl", "flock")),
            least=1,
            most=3,
        ),
    ] = ("dotlock", "fcntl")
    lock_timeout: Annotated[float, Duration("How long to wait for a lock before deferring.", 1, 1 * HOUR)] = 30.0
    lock_stale: Annotated[float, Duration("Age after which an untouched dot-lock is removed.", 60, 1 * DAY)] = (
        5 * MINUTE
    )
    mode: Annotated[str, Choice("Permissions of mailbox files we create.", words=_MODES)] = "0600"
    quota: Annotated[int, Size("Quota of mailboxes that name none; 0 is none.")] = 0
    unix_users: Annotated[
        bool, Flag("Deliver to the Unix users of this machine (needs the supervisor to run as root).")
    ] = False
    unix_uids: Annotated[
        tuple[int, ...],
        Several(
            "Lowest and highest uid that mail is delivered for; 0 is never among them.",
            of=Count("", 1, 4_294_967_294, "uid"),
            least=2,
            most=2,
        ),
    ] = (1000, 59999)
    unix_mailbox: Annotated[
        str,
        Text(
            "Mailbox of a Unix user: `{user}` and `{home}` are replaced.",
            pattern=_MAILBOX,
            example='"maildir:{home}/Maildir"',
        ),
    ] = "mbox:/var/mail/{user}"
    forward_files: Annotated[bool, Flag("Read `.forward` in the home of a Unix user.")] = True
    forward_for_virtual: Annotated[bool, Flag("Read `.forward` beside the mailbox of a virtual user too.")] = False
    programs: Annotated[bool, Flag("Run the programs (`|program`) that aliases and `.forward` files name.")] = True
    program_user: Annotated[
        str,
        Text(
            "The unprivileged Unix user that programs and files named by the administrator run as. Never root.",
            pattern=_USER,
            example='"nobody"',
        ),
    ] = "nobody"
    trusted_users: Annotated[
        tuple[str, ...],
        Several(
            "Unix users who may name any sender with `sendmail -f`, as root and the data directory's owner may. Mail "
            "of others gets an X-Authentication-Warning field.",
            of=Text("", pattern=_USER),
        ),
    ] = ()
    program_timeout: Annotated[float, Duration("How long a program may take.", 1, 1 * DAY)] = 5 * MINUTE
    program_output: Annotated[
        int, Size("How much of a program's output is kept for the log and the bounce.", most=1 * MIB)
    ] = 4 * KIB


class Domain(Section, frozen=True, kw_only=True):
    """A virtual domain: its addresses are accounts and virtual users, not Unix users."""

    name: str = ""
    catch_all: Annotated[str, address("The address that gets mail for unknown users.", empty=True)] = ""
    alias_of: Annotated[str, domain("Every address here means the same local part at that domain.", empty=True)] = ""
    quota: Annotated[int, Size("Quota of mailboxes in this domain that name none; 0 is none.")] = 0


class Account(Section, frozen=True, kw_only=True):
    """A virtual account: somebody with an address, a password and a mailbox, and no Unix user."""

    address: Annotated[str, address("The account's address, and its name at log-in.")]
    name: Annotated[str, Text("The person's name.")] = ""
    mailbox: Annotated[
        str,
        Text(
            "Format and path of the mailbox; a relative path lies under `delivery.mail_root`. Empty: the default "
            "format, at `DOMAIN/LOCAL`.",
            pattern=f"({_MAILBOX})?",
            example='"maildir:example.org/ada"',
        ),
    ] = ""
    password_hash: Annotated[
        str,
        Secret(
            "Hash of the password (`$argon2id$…`). It belongs in the secrets file, under `[passwords]`.",
            pattern=r"([${].+)?",
            example='"$argon2id$…"',
        ),
    ] = ""
    aliases: Annotated[tuple[str, ...], Several("Further addresses of this account.", of=address(""))] = ()
    send_as: Annotated[
        tuple[str, ...], Several("Further addresses it may send as; `@example.org` is a whole domain.", of=Text(""))
    ] = ()
    quota: Annotated[int, Size("Quota of the mailbox; 0 is the domain's.")] = 0
    enabled: Annotated[bool, Flag("Whether it may log in and gets mail.")] = True


class Telemetry(Section, frozen=True, kw_only=True):
    """What is recorded and shown of the work."""

    events: Annotated[
        str, FilePath("Directory of the event log that `penfold why` reads. Empty: `events` in the data directory.")
    ] = ""
    retention_size: Annotated[int, Size("The event log is cut, oldest first, above this size.", least=1 * MIB)] = (
        1 * GIB
    )
    retention: Annotated[float, Duration("Events older than this are removed.", 1 * HOUR, 366 * DAY)] = 14 * DAY
    file_size: Annotated[int, Size("A file of the event log is closed at this size.", least=64 * KIB, most=1 * GIB)] = (
        16 * MIB
    )
    log: Annotated[
        str,
        Text(
            "Where the log lines go: `stderr`, `syslog`, or the path of a file. Empty: nowhere.",
            pattern=r"(stderr|syslog|/.*)?",
            example='"stderr"',
        ),
    ] = "stderr"
    metrics: Annotated[
        str,
        Text(
            "Address where Prometheus metrics are served over HTTP (`127.0.0.1:9125`). Empty: nowhere.",
            pattern=r"(.*:[0-9]{1,5})?",
            example='"127.0.0.1:9125"',
        ),
    ] = ""


class Roles(Section, frozen=True, kw_only=True):
    """Processes and the users they run as. The users count only when the supervisor runs as root."""

    receive: Annotated[int, Count("Processes that talk to clients.", 1, 64, "processes")] = 1
    send: Annotated[int, Count("Processes that send to other hosts beside the queue's own.", 0, 64, "processes")] = 0
    local: Annotated[int, Count("Processes that deliver into mailboxes.", 1, 64, "processes")] = 1
    user_receive: Annotated[str, Text("User of role receive.", pattern=_USER, example='"penfold-net"')] = "penfold-net"
    user_queue: Annotated[str, Text("User of role queue.", pattern=_USER, example='"penfold"')] = "penfold"
    user_local: Annotated[str, Text("User of role local.", pattern=_USER, example='"penfold-mail"')] = "penfold-mail"
    user_auth: Annotated[str, Text("User of role auth.", pattern=_USER, example='"penfold-auth"')] = "penfold-auth"
    group: Annotated[str, Text("Group that all roles share.", pattern=_USER, example='"penfold"')] = "penfold"


class Dns(Section, frozen=True, kw_only=True):
    """How names are looked up."""

    resolvers: Annotated[
        tuple[Endpoint, ...],
        Several("Name servers to ask. Empty: those of /etc/resolv.conf.", of=endpoint("", '"127.0.0.1:53"'), most=16),
    ] = ()
    timeout: Annotated[float, Duration("How long to wait for one answer.", 0.05, 60)] = 3.0
    attempts: Annotated[int, Count("How often a question is asked.", 1, 10, "attempts")] = 2
    hosts: Annotated[
        dict[str, str],
        Names(
            "Names answered without DNS and their IP address, for tests and odd networks.",
            of=ip_address(""),
            keys=domain(""),
        ),
    ] = {}


class Config(Section, frozen=True, kw_only=True):
    """All that ``penfold.toml`` says. An empty file is safe: it listens on this machine only, and relays for nobody."""

    format: ClassVar[str] = "penfold.toml"

    hostname: Annotated[
        str,
        domain("The name of this host, said in the banner, EHLO and trace fields. Empty: the system's.", empty=True),
    ] = ""
    data: Annotated[
        str, FilePath("Directory of the queue, the event log and (unless told otherwise) the mailboxes.")
    ] = "/var/lib/penfold"
    local_domains: Annotated[
        tuple[str, ...],
        Several(
            "Domains whose mail ends here. Empty: the host name. Virtual domains stand in `[domains]`.", of=domain("")
        ),
    ] = ()
    postmaster: Annotated[
        str,
        address(
            "Where mail for postmaster goes, at every domain of ours (RFC 5321 §4.5.1). Empty: the first account "
            "of this file.",
            empty=True,
        ),
    ] = ""
    secrets: Annotated[
        str,
        FilePath("File of password hashes and log-ins (mode 0600). Empty: none. See the secrets file below."),
    ] = ""
    listen: Annotated[
        tuple[Listener, ...],
        Rows("Listeners. With none, one of role smtp at 127.0.0.1:25.", table="listen", names=_NAME),
    ] = ()
    limits: Annotated[Limits, Part("Limits.")] = Limits()
    tls: Annotated[Tls, Part("TLS.")] = Tls()
    auth: Annotated[Auth, Part("Log-in.")] = Auth()
    relay: Annotated[Relay, Part("Relay rule.")] = Relay()
    queue: Annotated[Queue, Part("Queue.")] = Queue()
    concurrency: Annotated[Concurrency, Part("Concurrency.")] = Concurrency()
    routing: Annotated[Routing, Part("Routing.")] = Routing()
    delivery: Annotated[Delivery, Part("Delivery.")] = Delivery()
    domains: Annotated[tuple[Domain, ...], Rows("Virtual domains.", table="domains", names=domain(""))] = ()
    accounts: Annotated[tuple[Account, ...], Rows("Virtual accounts.", table="account")] = ()
    telemetry: Annotated[Telemetry, Part("Telemetry.")] = Telemetry()
    roles: Annotated[Roles, Part("Roles.")] = Roles()
    dns: Annotated[Dns, Part("DNS.")] = Dns()

    @property
    def spool(self) -> str:
        """The directory of the queue."""
        return f"{self.data}/spool"


class Login(Section, frozen=True, kw_only=True):
    """A log-in of ours at another host."""

    name: str = ""
    user: Annotated[str, Text("The user name there.")]
    password: Annotated[str, Secret("The password there.")]


class Secrets(Section, frozen=True, kw_only=True):
    """The secrets file (mode 0600): read by role auth, and by the supervisor for the smart host's log-in."""

    passwords: Annotated[
        dict[str, str],
        Names("Accounts (by address) and the hash of their password.", of=Secret(""), keys=address("")),
    ] = {}
    login: Annotated[tuple[Login, ...], Rows("Log-ins at other hosts.", table="login", names=_NAME)] = ()
