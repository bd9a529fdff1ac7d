import base64
import hashlib

import pytest

from penfold.directory import crypt as crypt_module
from penfold.directory.authenticator import ScramAccount
from penfold.directory.base import Account
from penfold.directory.memory import MemoryDirectory
from penfold.directory.passwords import make, outdated, readable, scram, scram_text, verify
from penfold.directory.secret_file import MemorySecrets
from penfold.directory.verifiers import VerifierTable
from penfold.protocols.sasl.scram import derive


def salted(scheme, algorithm, password, salt=b"salt"):
    digest = hashlib.new(algorithm, password.encode() + salt).digest()
    return f"{{{scheme}}}" + base64.b64encode(digest + salt).decode()


def test_what_make_makes_is_argon2id_with_our_cost_and_scram_beside_it():
    """RFC 9106 §4; RFC 7677 §4."""
    made = make("correct horse")
    assert made.startswith("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify(made, "correct horse")
    assert not verify(made, "wrong horse")
    assert readable(made)
    assert not outdated(made)
    assert scram(made) is not None
    assert scram(make("x", scram=False)) is None


@pytest.mark.parametrize(
    ("verifier", "good"),
    [
        (salted("SSHA", "sha1", "pw"), True),
        (salted("ssha256", "sha256", "pw"), True),
        (salted("SSHA512", "sha512", "pw"), True),
        (salted("SSHA", "sha1", "other"), False),
        ("{SSHA}not base 64", False),
        ("{SSHA}" + base64.b64encode(b"short").decode(), False),
        ("{PLAIN}pw", True),
        ("{PLAIN}p w", False),
        ("{CRYPT}*", False),
        ("{CRYPT}", False),
        ("!", False),
        ("", False),
        ("{UNKNOWN}pw", False),
        ("{ARGON2ID}$argon2id$broken", False),
        ("$argon2id$v=19$m=19456,t=2,p=1$broken$", False),
    ],
)
def test_verifiers_of_all_schemes_are_checked(verifier, good):
    assert verify(verifier, "pw") is good


def test_crypt_hashes_of_the_system_are_checked():
    try:
        hashed = crypt_module.crypt("pw", "$6$rounds=1000$saltsalt$")
    except crypt_module.CryptUnavailableError:
        pytest.skip("no libcrypt here")
    assert hashed.startswith("$6$rounds=1000$saltsalt$")
    assert verify(hashed, "pw")
    assert verify("{SHA512-CRYPT}" + hashed, "pw")
    assert not verify(hashed, "pW")
    assert outdated(hashed)
    assert crypt_module.crypt("pw", "$nonsense$") == ""
    assert crypt_module.crypt("p\0w", "$6$x$") == ""


def test_a_known_sha512_crypt_hash_matches():
    known = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    try:
        assert crypt_module.crypt_matches("Hello world!", known)
    except crypt_module.CryptUnavailableError:
        pytest.skip("no libcrypt here")


def test_an_unknown_user_is_hashed_too_and_never_right(monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "penfold.directory.passwords._argon2id", lambda value, password: hashed.append(password) or True
    )
    assert not verify(None, "pw")
    assert not verify("{PLAIN}x", "x" * 2000)
    assert not verify("{PLAIN}x", "")
    assert len(hashed) == 3


def test_the_scram_keys_beside_a_verifier_are_those_of_the_password():
    keys = scram(make("pencil"))
    assert keys == derive("pencil", keys.salt, keys.iterations)
    assert scram(scram_text(keys)) == keys


@pytest.mark.parametrize(
    "text",
    ["x", "0,YQ==,YQ==,YQ==", "4096,!,!,!", "9999999999,YQ==,YQ==,YQ==", "4096,YQ==,YQ==,YQ==", "4096", "1,2,3,4,5"],
)
def test_scram_keys_that_cannot_be_read_are_none(text):
    assert scram("{SCRAM-SHA-256}" + text) is None
    assert not readable("{SCRAM-SHA-256}" + text)
    assert scram(None) is None


@pytest.mark.parametrize("password", ["", "a\nb", "x" * 1025])
def test_unfit_passwords_are_not_made(password):
    with pytest.raises(ValueError, match="octets"):
        make(password)


def test_log_ins_are_checked_by_any_address_of_the_account():
    directory = MemoryDirectory([Account(id="alice@example.test", aliases=("al@example.test",))])
    keys = derive("pw", b"s")
    secrets = MemorySecrets({"alice@example.test": f"{salted('SSHA', 'sha1', 'pw')} {scram_text(keys)}"})
    table = VerifierTable(secrets, directory.account, b"k")
    for user in ("alice@example.test", "Al@example.TEST"):
        assert table.check(user, "pw") == "alice@example.test"
        assert table.check(user, "no") is None
        assert table.scram(user) == ScramAccount("alice@example.test", keys)
    for user in ("bob", "bob@example.test", "a b", ""):
        assert table.check(user, "pw") is None
        assert not table.scram(user).verifier.known
        assert table.scram(user) == table.scram(user)
        assert table.scram(user).verifier.iterations == keys.iterations
