"""Reading penfold.toml: defaults, values with units, and problems that say where they are."""

import os

import msgspec
import pytest

from penfold import config
from penfold.model import ConfigError


def problem(text):
    with pytest.raises(ConfigError) as caught:
        config.loads(text, hostname="mx.test")
    return caught.value


def test_an_empty_file_listens_on_loopback_only_and_relays_for_nobody():
    found = config.loads("", hostname="mx.test")
    assert [str(endpoint) for listener in found.listen for endpoint in listener.addresses] == ["127.0.0.1:25"]
    assert found.relay.networks == ()
    assert found.relay.domains == ()
    assert found.local_domains == ("mx.test",)
    assert found.listen[0].tls == "none"


def test_values_with_units_become_seconds_and_octets():
    found = config.loads('[limits]\nmessage_size = "64MiB"\n[queue]\nretry = ["90s", "2h"]\nlifetime = "3d"\n')
    assert found.limits.message_size == 64 << 20
    assert found.queue.retry == (90.0, 7200.0)
    assert found.queue.lifetime == 3 * 86400


def test_relative_paths_start_at_the_directory_of_the_file():
    found = config.loads('data = "var"\n[routing]\naliases = ["aliases", "/etc/aliases"]', base="/srv/mail")
    assert found.data == "/srv/mail/var"
    assert found.routing.aliases == ("/srv/mail/aliases", "/etc/aliases")
    assert found.telemetry.events == "/srv/mail/var/events"
    assert found.delivery.mail_root == "/srv/mail/var/mail"


def test_tls_of_a_listener_follows_its_role_and_the_certificate():
    text = """
    [tls]
    certificate = "auto"
    [listen.mx]
    addresses = ["[::1]:2525"]
    [listen.safe]
    role = "submissions"
    addresses = ["127.0.0.1:2565"]
    [listen.lmtp]
    role = "lmtp"
    addresses = ["unix:lmtp.sock"]
    """
    found = config.loads(text, base="/run/penfold")
    assert [listener.tls for listener in found.listen] == ["starttls", "implicit", "none"]
    assert found.listen[2].addresses[0].path == "/run/penfold/lmtp.sock"
    assert found.tls.certificate == "auto"


def test_accounts_and_domains_keep_their_names_and_order():
    text = """
    [domains."example.org"]
    catch_all = "ada@example.org"
    [[account]]
    address = "Ada@EXAMPLE.org"
    mailbox = "mbox:ada"
    quota = "1GB"
    [[account]]
    address = "bob@example.org"
    aliases = ["robert@example.org"]
    """
    found = config.loads(text)
    assert [domain.name for domain in found.domains] == ["example.org"]
    assert [account.address for account in found.accounts] == ["Ada@example.org", "bob@example.org"]
    assert found.accounts[0].quota == 10**9


def test_an_unknown_option_is_refused_with_its_line_and_a_suggestion():
    error = problem('hostname = "mx.test"\n\n[limits]\n  mesage_size = "1MiB"\n')
    assert (error.line, error.column) == (4, 3)
    assert "mesage_size" in error.problem
    assert error.hint == "did you mean message_size?"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[queue]\nlifetime = 5", 2, "no unit of time"),
        ('[queue]\nlifetime = "5 fortnights"', 2, "not a duration"),
        ('[queue]\nlifetime = "1s"', 2, "out of range"),
        ('[queue]\nretry = [\n  "5m",\n  # pause\n  "7x",\n]', 5, "'7x'"),
        ("[limits]\nrecipients = true", 2, "found true or false"),
        ("[limits]\nrecipients = 0", 2, "out of range"),
        ('[limits]\nrecipients = "many"', 2, "found a string"),
        ('[limits]\nmessage_size = "50 apples"', 2, "not a size"),
        ('[listen.mx]\nrole = "smtpd"\naddresses = ["127.0.0.1:25"]', 2, "none of the words"),
        ('[listen.mx]\naddresses = ["127.0.0.1"]', 2, "an address with a port"),
        ('[listen.mx]\nrole = "smtp"', 1, "lacks addresses"),
        ("limits = 3", 1, "is a section"),
        ('listen = ["x"]', 1, "is a section"),
        ("[account]\naddress = 'a@b.c'", 1, "row of tables"),
        ("[[account]]\naddress = 'a@b.c'\n[[account]]\naddress = 'nobody'", 4, "the domain is missing"),
        ('[relay]\nnetworks = ["192.0.2.1/24"]', 2, "host bits"),
        ('hostname = "mail..example"', 1, "not a domain name"),
        ('hostname = "bell\\u0007"', 1, "control character"),
        ("when = 2024-01-01", 1, "unknown option"),
        ("hostname = 2024-01-01", 1, "found a date or time"),
        ('[routing]\nmasquerade = { "a.test" = 7 }', 2, "found a number"),
        ("a = [", 1, "not TOML"),
        ("[queue]\nlifetime = '5d'\nlifetime = '6d'", 3, "not TOML"),
        ("x = " + "[" * 5000, 0, "nested too deeply"),
        ("x = " + "9" * 5000, 0, "not TOML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(text, line, words):
    error = problem(text)
    assert words in error.problem
    assert error.line == line


def test_every_problem_of_a_file_is_told_at_once(tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_text('hostnam = "x"\n[limits]\nerrors = 0\n[queue]\njitter = 4\n')
    loaded = config.examine(str(path))
    assert loaded.config is None
    assert [error.line for error in loaded.problems] == [1, 3, 5]
    assert all(error.file == str(path) and error.hint for error in loaded.problems)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="penfold init"):
        config.load(str(tmp_path / "none.toml"))


def test_a_file_that_is_not_utf8_names_the_line(tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_bytes(b'hostname = "mx.test"\n# caf\xe9\n')
    with pytest.raises(ConfigError) as caught:
        config.load(str(path))
    assert caught.value.line == 2


def test_crlf_and_a_byte_order_mark_are_accepted(tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_bytes(b'\xef\xbb\xbfhostname = "mx.test"\r\n')
    assert config.load(str(path)).hostname == "mx.test"


def test_a_configuration_travels_between_processes():
    found = config.loads('[listen.mx]\naddresses = ["0.0.0.0:25"]\n[[account]]\naddress = "ada@example.org"\n')
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=config.Config) == found


def test_the_secrets_file_must_be_private(tmp_path):
    path = tmp_path / "secrets.toml"
    path.write_text('[passwords]\n"ada@example.org" = "$argon2id$x"\n[login.isp]\nuser = "u"\npassword = "p"\n')
    os.chmod(path, 0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        config.load_secrets(str(path))
    os.chmod(path, 0o600)
    secrets = config.load_secrets(str(path))
    assert secrets.passwords == {"ada@example.org": "$argon2id$x"}
    assert secrets.login[0].name == "isp"


def test_names_of_domains_are_brought_into_their_one_form():
    text = (
        '[domains."Käse.Example"]\n[routing]\ncatch_all = { "Käse.example" = "a@käse.example" }\n'
        'masquerade = { "HOST.test" = "test" }\n[dns.hosts]\n"MX.test" = "2001:DB8::0:1"\n'
    )
    found = config.loads(text)
    assert found.domains[0].name == "xn--kse-qla.example"
    assert found.routing.catch_all == {"xn--kse-qla.example": "a@xn--kse-qla.example"}
    assert found.routing.masquerade == {"host.test": "test"}
    assert found.dns.hosts == {"mx.test": "2001:db8::1"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[domains."a b"]', 1, "not a domain name"),
        ('[listen."a/b"]\naddresses = ["127.0.0.1:25"]', 1, "cannot be used here"),
        ('[routing]\n[routing.catch_all]\n"-" = "a@b.c"', 3, "not a domain name"),
        ('[routing]\ncatch_all = "x"', 2, "found a string"),
        ("[relay]\nnetworks = '10.0.0.0/8'", 2, "found a string"),
        ("[delivery]\nlocks = []", 2, "too few"),
        ('[listen.mx]\naddresses = ["unix:"]', 2, "path is missing"),
        ("[delivery]\nforward_files = 'yes'", 2, "expected true or false"),
        ("[queue]\njitter = 2", 2, "from 0 to 1"),
        ("[limits]\nmessage_size = 7", 2, "out of range"),
        ("[[account]]\naddress = 'a@b.c'\nname = '" + "x" * 1001 + "'", 3, "longer than"),
        ("domains = 5", 1, "is a section"),
        ('[queue]\nlifetime = "x"\n' + "#" * 10, 2, "not a duration"),
    ],
)
def test_a_wrong_name_or_shape_is_refused_with_its_line(text, line, words):
    error = problem(text)
    assert words in error.problem
    assert error.line == line


def test_a_file_without_end_is_refused(tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_bytes(b"#" * (5 << 20))
    with pytest.raises(ConfigError, match="larger than"):
        config.load(str(path))
