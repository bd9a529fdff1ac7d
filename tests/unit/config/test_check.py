"""Cross-checks: what is well-formed but must not run."""

import datetime as dt
import os
import resource

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penfold.config.check import RULES, check, load_checked
from penfold.model import ConfigError

BASE = 'hostname = "mx.example.org"\n[delivery]\nprogram_user = "nobody"\n'


def found(tmp_path, text, severity="error", base=BASE, now=None):
    path = tmp_path / "penfold.toml"
    path.write_text(base + text)
    return [(f.line - base.count("\n"), f.problem) for f in check(str(path), now=now) if f.severity == severity]


def test_a_sound_file_has_no_errors_and_can_be_loaded(tmp_path):
    assert found(tmp_path, "") == []
    config, findings = load_checked(str(tmp_path / "penfold.toml"))
    assert config.hostname == "mx.example.org"
    assert all(finding.severity == "warning" for finding in findings)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3", "::ffff:0:0/96", "64.0.0.0/4"])
def test_an_open_relay_is_refused_with_its_line(tmp_path, text):
    (finding,) = found(tmp_path, f'[relay]\nnetworks = [\n "10.0.0.0/8",\n "{text}",\n]\n')
    assert finding[0] == 4
    assert "open relay" in finding[1]
    with pytest.raises(ConfigError, match="open relay"):
        load_checked(str(tmp_path / "penfold.toml"))


def test_an_open_relay_in_slices_is_refused_too(tmp_path):
    networks = ", ".join(f'"{n}.0.0.0/8"' for n in range(20, 40))
    assert any("open relay" in problem for _, problem in found(tmp_path, f"[relay]\nnetworks = [{networks}]\n"))


def test_our_own_networks_may_relay(tmp_path):
    networks = '"10.0.0.0/8", "192.0.2.0/24", "172.16.0.0/12", "fd00::/8", "2001:db8::/32", "::1/128"'
    assert found(tmp_path, f"[relay]\nnetworks = [{networks}]\n") == []


WRONG = {
    "listener clash": (
        '[listen.a]\naddresses = ["0.0.0.0:25"]\n[listen.b]\naddresses = ["127.0.0.1:25"]\n',
        4,
        "taken by",
    ),
    "listener name": ('[listen.a]\naddresses = ["mx:25"]\n', 2, "not an IP address"),
    "tls without certificate": ('[listen.a]\nrole = "submissions"\naddresses = ["127.0.0.1:465"]\n', 1, "certificate"),
    "proxy from all": ('[listen.a]\naddresses = ["127.0.0.1:1"]\nxclient_from = ["0.0.0.0/0"]\n', 3, "any client"),
    "missing aliases": ('[routing]\naliases = ["/nonexistent/aliases"]\n', 2, "cannot be read"),
    "aliases is a directory": ('[routing]\naliases = ["/"]\n', 2, "cannot be read"),
    "domain twice": ('[domains."mx.example.org"]\n', 1, "local_domains too"),
    "alias to nowhere": ('[domains."a.test"]\nalias_of = "b.test"\n', 2, "no other domain"),
    "relay to ourselves": ('[relay]\ndomains = ["mx.example.org"]\n', 2, "our own domains"),
    "account in no domain": ('[[account]]\naddress = "a@other.test"\n', 2, "no domain of ours"),
    "account twice": (
        '[[account]]\naddress = "a@mx.example.org"\n[[account]]\naddress = "A@mx.example.org"\n',
        4,
        "already",
    ),
    "alias taken": (
        '[[account]]\naddress = "a@mx.example.org"\n[[account]]\naddress = "b@mx.example.org"\n'
        'aliases = [\n"c@mx.example.org",\n"a@mx.example.org"]\n',
        7,
        "belongs to account a@",
    ),
    "role as root": ('[roles]\nuser_receive = "root"\n', 2, "is root"),
    "login nowhere": ('[routing]\nsmart_host = "[a]:587"\nsmart_host_login = "isp"\n', 3, "no log-in"),
    "login in the clear": (
        '[routing]\nsmart_host = "[a]:587"\nsmart_host_login = "isp"\nsmart_host_tls = "opportunistic"\n',
        4,
        "in the clear",
    ),
    "secrets missing": ("secrets_is_checked_below = 1\n", 1, "unknown option"),
    "concurrency": ("[concurrency]\ninitial = 30\n", 2, "greater than most"),
    "metrics": ('[telemetry]\nmetrics = "prometheus:9125"\n', 2, "no address"),
    "certificate missing": ('[tls]\ncertificate = "/nonexistent.pem"\n', 2, "cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_work_is_found_on_its_line(tmp_path, name):
    text, line, words = WRONG[name]
    findings = found(tmp_path, text)
    assert any(at == line and words in problem for at, problem in findings), findings


def test_options_of_the_top_and_of_delivery_are_checked(tmp_path):
    (tmp_path / "file").write_text("")
    text = (
        'postmaster = "postmaster@mx.example.org"\ndata = "file"\nsecrets = "none.toml"\nhostname = "mx.example.org"\n'
    )
    text += '[delivery]\nprogram_user = "root"\nlocks = ["fcntl", "fcntl"]\nunix_uids = [2000, 1000]\n'
    problems = found(tmp_path, text, base="")
    for line, words in [(1, "itself"), (2, "not a directory"), (6, "is root"), (7, "twice"), (8, "no uid")]:
        assert any(at == line and words in problem for at, problem in problems), (line, words, problems)
    assert any("none.toml" in str(f) for f in check(str(tmp_path / "penfold.toml")))


WARNED = {
    "[queue]\nwarning = '6d'\n": "after the bounce",
    "[queue]\nbounce_lifetime = '6d'\n": "longer than the mail",
    "[limits]\nexempt = ['0.0.0.0/0']\n": "frees every client",
    "[telemetry]\nmetrics = '0.0.0.0:9125'\n": "from everywhere",
    "[listen.a]\nrole = 'submission'\naddresses = ['127.0.0.1:587']\n": "nobody can log in",
    "[relay]\nnetworks = ['20.0.0.0/9']\n": "very large network",
    "[routing]\nsmart_host_login = 'isp'\n": "no smart_host",
    "[routing]\ncatch_all = { 'o.test' = 'a@mx.example.org' }\n": "not one of our domains",
    "[[account]]\naddress = 'a@mx.example.org'\npassword_hash = '$argon2id$x'\n": "many may read",
    "[[account]]\naddress = 'a@mx.example.org'\nmailbox = 'mbox:x'\n[[account]]\n"
    "address = 'b@mx.example.org'\nmailbox = 'mbox:x'\n": "mailbox of a@",
}


@pytest.mark.parametrize("text", WARNED)
def test_what_is_doubtful_is_a_warning(tmp_path, text):
    assert any(WARNED[text] in problem for _, problem in found(tmp_path, text, "warning"))


def test_a_short_host_name_and_too_many_connections_are_warnings(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 1024))
    problems = " ".join(problem for _, problem in found(tmp_path, 'hostname = "mx"\n', "warning", base=""))
    assert "no full host name" in problems
    assert "open files" in problems


def test_a_file_that_cannot_be_parsed_is_one_finding(tmp_path):
    ((line, problem),) = found(tmp_path, "x = [", base="")
    assert line == 1
    assert "not TOML" in problem


def test_errors_come_first_and_every_rule_says_what_it_is_for(tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_text('hostname = "mx"\n[concurrency]\ninitial = 30\n')
    severities = [finding.severity for finding in check(str(path))]
    assert severities == sorted(severities)
    assert all(rule.__doc__ for rule in RULES)


@pytest.fixture
def pair(tmp_path):
    def make(days=30, name="c"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example.org")])
        start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, start, start + dt.timedelta(days))
        certificate = builder.sign(key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.PKCS8
        (tmp_path / f"{name}.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        os.chmod(tmp_path / f"{name}.key", 0o600)
        return start.timestamp()

    return make


TLS = '[tls]\ncertificate = "c.pem"\nkey = "c.key"\n'


def test_a_certificate_and_its_key_are_accepted(tmp_path, pair):
    start = pair()
    assert found(tmp_path, TLS, now=start) == []


def test_a_key_of_another_certificate_an_expired_one_and_an_open_key_are_refused(tmp_path, pair):
    start = pair()
    pair(name="d")
    assert "cannot be used" in found(tmp_path, TLS.replace("c.key", "d.key"), now=start)[0][1]
    assert found(tmp_path, TLS, now=start + 40 * 86400) == [(2, "the certificate has expired")]
    assert "within a week" in str(found(tmp_path, TLS, "warning", now=start + 25 * 86400))
    os.chmod(tmp_path / "c.key", 0o644)
    assert "everybody may read" in found(tmp_path, TLS, now=start)[0][1]


def test_a_domain_written_twice_is_refused_and_a_missing_postmaster_is_told(tmp_path):
    assert found(tmp_path, '[domains."a.test"]\n[domains."A.test"]\n') == [(2, "a.test stands there twice")]
    assert any("mail for postmaster" in problem for _, problem in found(tmp_path, "", "warning"))
    text = '[[account]]\naddress = "a@mx.example.org"\n'
    assert not any("mail for postmaster" in problem for _, problem in found(tmp_path, text, "warning"))
