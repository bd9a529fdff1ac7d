"""The examples of the guide page "receive mail for a domain" are read by the code they speak of."""

import re
from pathlib import Path

import pytest

from penfold import config
from penfold.directory.aliases import read_aliases
from penfold.directory.maps import read_transport, read_virtual

PAGE = (Path(__file__).parents[2] / "docs/guide/receive-mail-for-a-domain.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(mark):
    (text,) = [text for language, text in BLOCKS if not language and mark in text]
    return text


def test_the_alias_file_is_read():
    names = read_aliases(block("owner-team:"), "page")
    assert names["team"].values == ("alice", "bob", "carol@elsewhere.test")
    assert names["ticket"].values == ("|/usr/local/bin/ticket --queue mail",)
    assert names["sales"].values[0] == "\\sales"


def test_the_virtual_table_is_read():
    assert read_virtual(block("gone@shop.test"), "page")["@old.test"].values == ("%1@shop.test",)


def test_the_transport_table_is_read():
    assert len(read_transport(block("closed.test"), "page")) == 5


@pytest.mark.parametrize("number", range(sum(language == "toml" for language, _ in BLOCKS)))
def test_the_configuration_is_accepted_piece_by_piece(number):
    pieces = [text for language, text in BLOCKS if language == "toml"]
    text = (
        pieces[number]
        if number == 0
        else 'hostname = "mx.example.test"\nlocal_domains = ["example.test"]\n' + pieces[number]
    )
    config.loads(text, hostname="mx.example.test")
