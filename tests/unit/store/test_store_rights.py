"""Access control lists."""

import pytest

from penfold.store import Ace, rights
from penfold.store.rights import ALL, normal

LIST = (Ace("anyone", "l"), Ace("bob", "lrsw"), Ace("-bob", "w"), Ace("$team", "ip"), Ace("-$team", "s"))


def test_rights_are_those_given_to_any_identifier_less_those_denied_to_any():
    assert rights(LIST, "bob") == "lrs"
    assert rights(LIST, "carol") == "l"
    assert rights(LIST, "bob", groups=["team"]) == "lrip"
    assert rights((), "bob") == ""


def test_the_owner_has_all_rights_unless_the_list_speaks_of_the_owner():
    assert rights(LIST, "ada", owner=True) == ALL
    assert rights((*LIST, Ace("owner", "lr")), "ada", owner=True) == "lra"


def test_an_owner_cannot_lock_himself_out():
    assert rights((Ace("-owner", ALL), Ace("-ada", ALL)), "ada", owner=True) == "la"


def test_only_the_owner_is_the_owner():
    assert rights((Ace("owner", "r"),), "bob") == ""


def test_obsolete_rights_mean_what_they_stood_for():
    assert normal("dcrl") == "lrkxte"
    assert normal("") == ""
    with pytest.raises(ValueError, match="'0'"):
        normal("l0")
