"""Threads by references and by subject."""

from hypothesis import given
from hypothesis import strategies as st

from penfold.access.imap.threading import Letter, by_references, by_subject
from penfold.protocols.imap.threads import thread_lists


def letter(name, subject="s", own="", refs="", sent=None, answer=False):
    return Letter(
        name, name if sent is None else sent, name, subject.encode(), answer, own.encode(), refs.encode().split()
    )


def references(*letters, subjects=True):
    return thread_lists(*by_references(list(letters), subjects=subjects)).decode()


def test_who_answers_a_message_is_its_child():
    assert references(letter(1, own="a"), letter(2, own="b", refs="a"), letter(3, own="c", refs="a b")) == "(1 2 3)"


def test_two_answers_are_branches():
    assert references(letter(1, own="a"), letter(2, own="b", refs="a"), letter(3, own="c", refs="a")) == "(1 (2)(3))"


def test_answers_to_a_message_that_is_not_there_are_siblings():
    assert references(letter(2, "x", "b", "a"), letter(3, "y", "c", "a")) == "((2)(3))"


def test_a_lone_answer_to_a_message_that_is_not_there_stands_alone():
    assert references(letter(2, "x", "b", "a"), letter(5, "y", "e")) == "(2)(5)"


def test_a_missing_message_in_the_middle_is_left_out():
    assert references(letter(1, own="a"), letter(3, own="c", refs="a b")) == "(1 3)"


def test_a_message_that_comes_before_what_it_answers_finds_its_place():
    assert references(letter(1, own="b", refs="a"), letter(2, own="a")) == "(2 1)"


def test_two_messages_with_one_id_are_two():
    assert references(letter(1, "x", "a"), letter(2, "y", "a"), letter(3, "z", "c", "a")) == "(1 3)(2)"


def test_messages_that_answer_each_other_make_no_loop():
    assert references(letter(1, own="a", refs="b"), letter(2, own="b", refs="a")) in {"(1 2)", "(2 1)"}
    assert references(letter(1, own="a", refs="a")) == "(1)"


def test_threads_of_one_subject_are_joined():
    assert references(letter(1, "tea", "a"), letter(2, "tea", "b", answer=True)) == "(1 2)"
    assert references(letter(1, "tea", "a"), letter(2, "tea", "b")) == "((1)(2))"
    assert references(letter(1, "", "a"), letter(2, "", "b")) == "(1)(2)"
    assert references(letter(1, "tea", "a", answer=True), letter(2, "tea", "b")) == "(2 1)"


def test_a_thread_without_its_first_message_takes_others_of_its_subject_in():
    missing = (letter(2, "tea", "b", "a", answer=True), letter(3, "tea", "c", "a", answer=True))
    assert references(*missing, letter(4, "tea", "d", answer=True)) == "((2)(3)(4))"


def test_refs_joins_no_subjects_and_puts_the_newest_thread_last():
    letters = (letter(1, "tea", "a", sent=1), letter(2, "x", "b"), letter(3, "tea", "c", "a", sent=0))
    assert references(*letters, subjects=False) == "(2)(1 3)"
    assert references(letter(1, "tea", "a"), letter(2, "tea", "b"), subjects=False) == "(1)(2)"


def test_ordered_subject_has_no_grandchildren():
    letters = [letter(1, "a"), letter(2, "b"), letter(3, "a"), letter(4, "a"), letter(5, "b", sent=0)]
    assert thread_lists(*by_subject(letters)).decode() == "(5 2)(1 (3)(4))"


def test_a_long_chain_is_no_recursion():
    chain = [letter(n, own=f"m{n}", refs=f"m{n - 1}") for n in range(1, 5000)]
    assert references(*chain) == "(" + " ".join(map(str, range(1, 5000))) + ")"
    assert references(*reversed(chain)).count("(") >= 1


ids = st.sampled_from(["a", "b", "c", "d", "e", ""])


@given(
    st.lists(st.tuples(ids, st.lists(ids, max_size=4), st.sampled_from(["x", "y", ""]), st.booleans()), max_size=12),
    st.booleans(),
)
def test_every_message_is_in_exactly_one_place(parts, subjects):
    letters = [
        letter(number, subject, own, " ".join(refs), answer=answer)
        for number, (own, refs, subject, answer) in enumerate(parts, 1)
    ]
    text = references(*letters, subjects=subjects)
    numbers = sorted(int(word) for word in text.replace("(", " ").replace(")", " ").split())
    assert numbers == [each.name for each in letters]
    assert text.count("(") == text.count(")")
