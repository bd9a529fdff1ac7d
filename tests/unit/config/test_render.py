"""Showing a configuration: as TOML, as plain values, what differs, what an option means; and writing a first one."""

import json
import os
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold import config
from penfold.config.check import check
from penfold.config.describe import Group, explain, groups
from penfold.config.document import Document
from penfold.config.kinds import Duration, Size, Text
from penfold.config.render import as_plain, as_toml, changes
from penfold.config.write import Answers, compose, compose_secrets, put
from penfold.model import ConfigError

TEXT = """
hostname = "mx.test"
secrets = "/s"
[listen.mx]
addresses = ["[::1]:25", "unix:/run/x"]
[queue]
retry = ["90s", "1d"]
lifetime = "5d"
[routing]
masquerade = { "a.test" = "b.test" }
[domains."d.test"]
[[account]]
address = '"o\\"d"@d.test'
password_hash = "$argon2id$secret"
quota = "1500MB"
"""


def test_what_is_shown_reads_back_as_the_same_configuration():
    first = config.loads(TEXT.replace('password_hash = "$argon2id$secret"\n', ""))
    assert config.loads(as_toml(first)) == first


def test_secrets_are_never_shown():
    found = config.loads(TEXT)
    assert "argon2id" not in as_toml(found)
    assert "argon2id" not in json.dumps(as_plain(found))
    assert not any("argon2id" in change.value for change in changes(Document("f", TEXT)))


def test_plain_values_carry_units_and_names():
    plain = as_plain(config.loads(TEXT))
    assert plain["queue"]["retry"] == ["90s", "1d"]
    assert plain["listen"][0]["name"] == "mx"
    assert plain["limits"]["recipients"] == 1000
    assert plain["routing"]["masquerade"] == {"a.test": "b.test"}
    msgspec.json.encode(plain)


def test_only_what_differs_from_the_defaults_is_a_change():
    found = {change.name: (change.value, change.default, change.line) for change in changes(Document("f", TEXT))}
    assert "queue.lifetime" not in found
    assert found["queue.retry"][0] == '["90s", "1d"]'
    assert found["listen.mx.addresses"][2] == 5
    assert found["account[0].quota"][:2] == ('"1500000000B"', '"0B"')
    assert found["routing.masquerade"][1] == "{}"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("limits.message_size", "limits.message_size"),
        ("message_size", "limits.message_size"),
        ("listen.mx.role", "listen.NAME.role"),
        ("listen.NAME.role", "listen.NAME.role"),
        ("account.address", "account[].address"),
        ("[queue]", "queue"),
        ("[[account]]", "account[]"),
        ("listen", "listen.NAME"),
        ("hostname", "hostname"),
    ],
)
def test_an_option_is_explained_by_its_name(name, canonical):
    assert explain(name).name == canonical


@pytest.mark.parametrize(
    ("name", "words"),
    [("limits.mesage_size", "limits.message_size"), ("quota", "account"), ("xyzzy", "lists all"), ("", "lists all")],
)
def test_an_unknown_or_ambiguous_name_gets_a_hint(name, words):
    with pytest.raises(ConfigError) as caught:
        explain(name)
    assert words in caught.value.hint


def test_every_option_has_a_doc_string_a_kind_and_a_default_that_reads_back():
    for group in groups():
        assert group.doc.endswith(".")
        for option in group.options:
            assert len(option.doc) > 15, option.name
            assert option.doc.endswith((".", "`).", "`)")), option.name
            assert option.kind
            if not option.required:
                tomllib.loads(f"x = {option.default}")
    assert isinstance(explain("limits"), Group)


def answers(tmp_path, **more):
    plain = {"hostname": "mx.example.org", "data": str(tmp_path / "var"), "listen": ("127.0.0.1:2525",)}
    return Answers(**(plain | more))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "local_domains": ("mx.example.org",),
            "domains": ("example.org",),
            "postmaster": "ada@example.org",
            "smart_host": "[smtp.isp.example]:587",
            "certificate": "auto",
            "key": "",
            "submission": ("127.0.0.1:4650",),
            "accounts": ("ada@example.org",),
            "passwords": (("ada@example.org", "$argon2id$v"),),
            "secrets": "secrets.toml",
        },
    ],
)
def test_a_first_configuration_has_no_errors(tmp_path, more):
    given = answers(tmp_path, **more)
    put(str(tmp_path / "secrets.toml"), compose_secrets(given), mode=0o600)
    put(str(tmp_path / "penfold.toml"), compose(given))
    assert [f for f in check(str(tmp_path / "penfold.toml")) if f.severity == "error"] == []
    assert config.load(str(tmp_path / "penfold.toml")).hostname == "mx.example.org"


def test_a_file_that_is_there_is_never_written_over_unless_asked(tmp_path):
    path = tmp_path / "penfold.toml"
    put(str(path), "one", mode=0o600)
    with pytest.raises(ConfigError, match="--force"):
        put(str(path), "two")
    assert path.read_text() == "one"
    put(str(path), "two", mode=0o600, replace=True)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["penfold.toml"]
    with pytest.raises(ConfigError, match="cannot be written"):
        put("/proc/none/penfold.toml", "x")


@given(st.integers(0, 1 << 50))
def test_a_size_is_shown_as_it_is_read(octets):
    kind = Size("")
    assert kind.read(tomllib.loads(f"x = {kind.show(octets)}")["x"], "/") == octets


@given(st.integers(0, 366 * 86_400_000).map(lambda ms: ms / 1000))
def test_a_duration_is_shown_as_it_is_read(seconds):
    kind = Duration("")
    assert kind.read(tomllib.loads(f"x = {kind.show(seconds)}")["x"], "/") == pytest.approx(seconds)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50))
def test_a_text_is_shown_as_it_is_read(text):
    kind = Text("")
    assert kind.read(tomllib.loads(f"x = {kind.show(text)}")["x"], "/") == text
