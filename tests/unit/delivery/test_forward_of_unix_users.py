"""The ``.forward`` of a Unix user, read by a process that is that user."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penfold.delivery.forward import MAX_LISTS, MAX_SIZE, ForwardFiles
from penfold.directory.base import Account
from penfold.fs.posix import PosixFileSystem
from penfold.model import Address, Expanded, MailError, Permanent, Recipient, Transient

ANN = Recipient(Address("ann", "example.test"))


@pytest.fixture
def home(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def put(path, text, mode=0o600):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def follow(home, recipient=ANN, extension=""):
    account = Account(id="ann", kind="unix", uid=os.geteuid(), home=str(home), forward=True)
    return ForwardFiles(PosixFileSystem(), uid=os.geteuid()).follow(account, recipient, extension)


def names(expanded):
    return [
        str(each.address) if each.address.domain != "|" else "|" + each.address.local for each in expanded.recipients
    ]


def test_without_a_forward_mail_stays():
    account = Account(id="ann", kind="unix", uid=os.geteuid(), home="/nonexistent", forward=True)
    assert ForwardFiles(PosixFileSystem(), uid=0).follow(account, ANN) is None


def test_an_empty_forward_keeps_the_mail(home):
    put(home / ".forward", "# nothing\n\n")
    assert follow(home) is None


def test_addresses_programs_and_files_get_the_owners_rights(home):
    put(home / ".forward", 'bob, eve@other.test, "|/bin/sort-mail -x", /home/ann/file\n')
    found = follow(home)
    assert names(found)[:3] == ["bob@example.test", "eve@other.test", "|/bin/sort-mail -x"]
    assert [each.rights for each in found.recipients] == ["", "", "ann", "ann"]


def test_ones_own_name_is_the_mailbox_not_the_forward_again(home):
    put(home / ".forward", "\\ann, bob\n")
    own = follow(home).recipients[0]
    assert own.parents[-1] == own.address
    assert follow(home, own) is None


def test_an_extension_has_a_file_of_its_own_and_else_the_common_one(home):
    put(home / ".forward", "bob\n")
    put(home / ".forward+lists", "carol\n")
    assert names(follow(home, extension="Lists")) == ["carol@example.test"]
    assert names(follow(home, extension="other")) == ["bob@example.test"]
    assert names(follow(home, extension="../../etc/passwd")) == ["bob@example.test"]


def test_own_lists_are_read_in_place(home):
    put(home / "friends", f'carol\n:include:{home}/more\n"|/bin/x"\n')
    put(home / "more", "dave\n")
    put(home / ".forward", f"bob, :include:{home}/friends\n")
    found = follow(home)
    assert names(found) == ["bob@example.test", "carol@example.test", "dave@example.test", "|/bin/x"]
    assert found.recipients[-1].rights == "ann"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (":include:{home}/.forward\n", f"more than {MAX_LISTS} lists"),
        (":include:{home}/absent\n", "there is no list"),
        (":include:{home}/loose\n", "writable by others"),
        (":include:{home}/link\n", "symbolic link"),
        (":include:/etc\n", "not a regular file"),
        ("a@b@c d\n", "line 1"),
        ("ok\n\xff\n", "not UTF-8"),
    ],
)
def test_a_forward_in_error_makes_mail_wait_and_says_why(home, text, why):
    put(home / "loose", "bob\n", 0o666)
    (home / "link").symlink_to(home / "loose")
    put(home / ".forward", text.replace("{home}", str(home)).encode("latin-1"))
    with pytest.raises(Transient) as refused:
        follow(home)
    assert why in refused.value.reply.text


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_write_is_not_read(home, mode):
    put(home / ".forward", "bob\n", mode)
    with pytest.raises(Transient, match="writable by others"):
        follow(home)


def test_links_fifos_directories_and_large_files_are_not_read(home):
    path = home / ".forward"
    other = put(home / "other", "bob\n")
    tricks = [
        (lambda: path.symlink_to(other), "symbolic link"),
        (lambda: os.link(other, path), "more than one link"),
        (lambda: os.mkfifo(path), "not a regular file"),
        (lambda: put(path, "#" * (MAX_SIZE + 1)), "longer than"),
        (path.mkdir, "not a regular file"),
    ]
    for make, why in tricks:
        make()
        with pytest.raises(Transient) as refused:
            follow(home)
        assert why in refused.value.reply.text
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_home_that_others_may_change_has_no_forward(home):
    put(home / ".forward", "bob\n")
    home.chmod(0o777)
    with pytest.raises(Transient, match="can be changed by others"):
        follow(home)


def test_a_refusing_entry_refuses(home):
    put(home / ".forward", "error:5.1.1:550 gone away\n")
    with pytest.raises(Permanent, match="gone away"):
        follow(home)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=400))
def test_any_content_leads_somewhere_or_is_refused(home, content):
    put(home / ".forward", content)
    try:
        found = follow(home)
    except MailError:
        return
    assert found is None or isinstance(found, Expanded)
