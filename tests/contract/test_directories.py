"""What every directory promises: one set of users, whatever driver knows them."""

import pytest

from penfold.directory.base import Account
from penfold.directory.memory import MemoryDirectory
from penfold.directory.nss import User
from penfold.directory.passwd import PasswdDirectory
from penfold.routing import Found, Missing

USERS = {"alice": User("alice", 1000, 1000, "Alice", "/home/alice"), "bob": User("bob", 1001, 1001, "", "/home/bob")}


def memory():
    return MemoryDirectory(
        [Account(id="alice@example.test", path="example.test/alice"), Account(id="bob@example.test")]
    )


def passwd():
    return PasswdDirectory(find=USERS.get, first=lambda _low, _high: USERS["alice"])


DRIVERS = {
    "memory": (memory, "alice@example.test", "local"),
    "passwd": (passwd, "alice", "unix"),
}


@pytest.fixture(params=sorted(DRIVERS))
def driver(request):
    make, alice, mailer = DRIVERS[request.param]
    return make(), alice, mailer


def test_an_account_is_found_whatever_the_case(driver):
    directory, alice, _ = driver
    assert directory.account(alice).id == alice
    assert directory.account(alice.upper()).id == alice


def test_an_unknown_account_is_none_and_missing(driver):
    directory, alice, _ = driver
    for key in ("nobody", "nobody@example.test", "x" * 400, "a\0b", "é", "@example.test", alice + "x"):
        assert directory.account(key) is None
        assert isinstance(directory.tables()["accounts"].lookup(key), Missing)


def test_the_accounts_table_names_mailer_and_id(driver):
    directory, alice, mailer = driver
    answer = directory.tables()["accounts"].lookup(alice)
    assert isinstance(answer, Found)
    assert answer.values == (f"{mailer} {alice}",)
    assert answer.source


def test_the_empty_key_is_the_first_account(driver):
    directory, alice, mailer = driver
    assert directory.tables()["accounts"].lookup("").values == (f"{mailer} {alice}",)
    assert directory.account("") is None


def test_every_table_knows_its_name(driver):
    directory, _, _ = driver
    for name, table in directory.tables().items():
        assert table.name == name


def test_an_account_says_where_its_mail_lies(driver):
    directory, alice, _ = driver
    account = directory.account(alice)
    assert account.path
    assert account.format in {"maildir", "mbox", "mmdf", "mh", "native"}
