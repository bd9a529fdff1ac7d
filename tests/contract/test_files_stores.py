"""The suite of the stores over mailboxes of files: all of it but what a format cannot carry, which is named here."""

import pytest
from tests.contract import test_stores as suite
from tests.files_stores import DRIVERS, FilesHouse

# What no mailbox of files has: nothing is kept of what was deleted, and accounts are directories.
NOT_KEPT = {
    "test_an_expunged_message_can_be_read_until_it_is_purged",
    "test_a_modseq_older_than_what_was_purged_answers_with_all_that_is_not_there",
    "test_a_view_of_a_deleted_mailbox_is_gone_and_can_be_read",
    "test_expunged_messages_come_back_with_new_uids",
    "test_all_of_a_mailbox_comes_back_but_not_what_lives_elsewhere_and_only_once",
    "test_a_deleted_mailbox_comes_back_under_its_name_or_another",
    "test_a_mailbox_comes_back_as_it_was_at_a_time",
    "test_an_account_comes_back_as_it_was_at_a_time",
    "test_a_deleted_account_is_nowhere_until_it_comes_back_as_it_was",
    "test_what_is_purged_does_not_come_back",
    "test_uidvalidity_never_repeats_when_an_account_comes_anew",
    "test_a_new_and_a_deleted_account_are_published",
    "test_quota_is_counted_and_enforced",  # ends with an undelete
    "test_a_keyword_nobody_bears_any_more_gives_up_its_place_when_one_is_needed",
}
# A format has room for fewer keywords than an account.
FEW_KEYWORDS = {"test_an_account_has_59_keywords_then_clients_are_refused_and_deliveries_go_on_without"}
BARE_OCTETS = {"test_a_large_message_comes_back_whole"}  # bare CR and LF come back as CRLF
# Where a mailbox is a file, it has no others below it, and what is above one is a directory that holds no messages.
FLAT = {
    "test_a_delivery_goes_by_id_then_by_name_and_makes_what_is_missing",
    "test_mailboxes_are_made_with_all_above_them_and_listed_in_order",
    "test_a_deleted_mailbox_goes_alone_and_its_name_begins_anew",
    "test_renames_that_cannot_be_are_refused",
    "test_rights_are_kept_normal_and_inherited_by_new_mailboxes",
}
LACKS = {
    "maildir": FEW_KEYWORDS | BARE_OCTETS,
    "mbox": FLAT | BARE_OCTETS,
    "mmdf": FLAT | BARE_OCTETS,
    "mh": BARE_OCTETS,
}


def pytest_generate_tests(metafunc):
    if "house" in metafunc.fixturenames:
        names = [name for name in sorted(DRIVERS) if metafunc.function.__name__ not in LACKS[name]]
        metafunc.parametrize("house", names, indirect=True)


@pytest.fixture
def house(request, tmp_path):
    house = FilesHouse.build(DRIVERS[request.param], tmp_path)
    yield house
    house.close()


NOT_KEPT |= set.intersection(*LACKS.values())
globals().update(
    {name: test for name, test in vars(suite).items() if name.startswith("test_") and name not in NOT_KEPT}
)
