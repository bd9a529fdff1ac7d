"""Keywords as letters."""

from penfold.formats.letters import enter, octets, parse, parse_courier, read_info, write_info


def test_letters_are_read_by_the_table():
    names = parse(b"0 $Junk\n2 work\n30 far\nx y\n")
    assert names == ["$Junk", "", "work"]
    assert read_info("DSacz", names) == {"\\Draft", "\\Seen", "$Junk", "work"}
    assert octets(names) == b"0 $Junk\n2 work\n"


def test_letters_are_written_in_order_and_what_we_do_not_know_stays():
    names = ["$Junk", "", "work"]
    assert write_info({"\\Seen", "\\Flagged", "$JUNK", "$Forwarded"}, names) == "FPSa"
    assert write_info({"work"}, names, "FSaXq") == "Xcq"


def test_new_keywords_take_free_letters_until_there_are_none():
    assert enter(["a", "", "c"], {"new", "A", "\\Seen", "$Forwarded"}) == ["a", "new", "c"]
    full = [f"k{n}" for n in range(26)]
    assert enter(full, {"K3"}) == full
    assert enter(full, {"other"}) is None


def test_couriers_keywords_are_read_by_name():
    assert parse_courier(b"work\n$Junk\n\nname.1:0 1\nname.2:1 9 x\nrest\n") == {
        "name.1": {"work", "$Junk"},
        "name.2": {"$Junk"},
    }
