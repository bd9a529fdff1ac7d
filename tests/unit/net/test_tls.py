import contextlib
import hashlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from penfold.net.tls import (
    KeyPair,
    end_point_binding,
    facts_of,
    load_pair,
    opportunistic,
    read_pair,
    self_signed,
    server_context,
    verified,
)


def shake(server, client, name="mail.example.test", client_pair=None):
    """A handshake in memory; gives both ends."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = server.wrap_bio(up, down, server_side=True)
    there = client.wrap_bio(down, up, server_hostname=name)
    for _ in range(6):
        for end in (there, here):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return here, there


def test_the_handshake_is_at_least_tls_1_2_and_its_facts_are_read():
    """RFC 8996 §4; RFC 8314 §4.1."""
    pair = self_signed(["mail.example.test", "192.0.2.1"])
    here, there = shake(server_context(pair), verified(pair.certificate))
    assert str(facts_of(here)).startswith("TLSv1.3 TLS_")
    assert facts_of(there).name == "mail.example.test"
    assert facts_of(there).verified
    assert server_context(pair).minimum_version == ssl.TLSVersion.TLSv1_2
    assert opportunistic().minimum_version == ssl.TLSVersion.TLSv1_2
    here, there = shake(server_context(pair), verified(pair.certificate), "192.0.2.1")
    assert facts_of(there).verified


def test_an_opportunistic_client_takes_any_certificate_and_claims_nothing():
    """RFC 7435 §3."""
    _, there = shake(server_context(self_signed(["other.test"])), opportunistic())
    assert not facts_of(there).verified


def test_a_verifying_client_refuses_a_wrong_name_and_a_wrong_issuer():
    pair = self_signed(["mail.example.test"])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(pair), verified(pair.certificate), "other.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(pair), verified(self_signed(["mail.example.test"]).certificate))


def test_a_client_certificate_names_the_client():
    pair = self_signed(["mail.example.test"])
    authority = self_signed(["authority.test"])
    mine = self_signed(["laptop.example.test"], authority=authority)
    client = opportunistic()
    load_pair(client, mine)
    here, there = shake(server_context(pair, clients=authority.certificate), client)
    there.write(b"x")
    assert here.read(1) == b"x"
    assert facts_of(here).name == "laptop.example.test"
    assert facts_of(here).verified
    here, _ = shake(server_context(pair, clients=authority.certificate), opportunistic())
    assert facts_of(here).name == ""


def test_a_reload_changes_new_handshakes_and_a_bad_pair_changes_nothing():
    old, new = self_signed(["mail.example.test"]), self_signed(["mail.example.test"])
    context = server_context(old)
    with pytest.raises(ssl.SSLError):
        load_pair(context, KeyPair(new.certificate, old.key))
    with pytest.raises(ssl.SSLError):
        load_pair(context, KeyPair(b"nonsense", b""))
    shake(context, verified(old.certificate))
    load_pair(context, new)
    shake(context, verified(new.certificate))


def test_a_pair_is_read_from_its_files(tmp_path):
    pair = self_signed(["mail.example.test"])
    (tmp_path / "cert.pem").write_bytes(pair.certificate)
    (tmp_path / "key.pem").write_bytes(pair.key)
    assert read_pair(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")) == pair


def test_the_channel_binding_is_the_digest_of_the_certificate():
    """RFC 5929 §4.1."""
    pair = self_signed(["mail.example.test"])
    der = x509.load_pem_x509_certificate(pair.certificate).public_bytes(Encoding.DER)
    assert end_point_binding(pair) == hashlib.sha256(der).digest()
