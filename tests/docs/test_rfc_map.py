"""The map of standards notices what is missing."""

from tools import rfcmap


def cite(number):
    """Made here, not written, so that this file itself cites nothing."""
    return f"RFC {number}"


def tree(tmp_path, index, code="", test=""):
    for folder in ("docs/rfc", "src", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/rfc/index.toml").write_text(index)
    (tmp_path / "src/a.py").write_text(code)
    (tmp_path / "tests/test_a.py").write_text(test)
    return rfcmap.check(tmp_path)


def row(number, status):
    return f'[[rfc]]\nnumber = {number}\ntitle = "T"\nstatus = "{status}"\n'


def test_a_sound_tree_has_no_problems(tmp_path):
    assert tree(tmp_path, row(1, "yes"), f"# {cite(1)} §4\n", f"# {cite(1)} §4\n") == []


def test_a_citation_that_is_not_in_the_index_is_found_on_its_line(tmp_path):
    problems = tree(tmp_path, row(1, "planned"), f"\n# {cite(2)} §1\n")
    assert problems == [f"src/a.py:2: {cite(2)} is not in docs/rfc/index.toml"]


def test_a_claim_needs_code_and_a_test(tmp_path):
    problems = tree(tmp_path, row(1, "yes") + row(2, "partial"), f"# {cite(1)} §4")
    assert len(problems) == 2
    assert f"{cite(1)} has status yes, but no test" in problems[0]
    assert f"{cite(2)} has status partial, but no code" in problems[1]


def test_an_index_out_of_order_with_doubles_and_unknown_words_is_refused(tmp_path):
    problems = " ".join(tree(tmp_path, row(2, "planned") + row(1, "maybe") + row(1, "no")))
    assert "'maybe'" in problems
    assert "twice" in problems
    assert "not in order" in problems


def test_the_page_links_code_and_tests(tmp_path):
    tree(tmp_path, row(1, "yes"), f"# {cite(1)} §4\n", f"# {cite(1)} §4\n")
    assert "| [src/a.py](../../src/a.py) | [test_a.py](../../tests/test_a.py) |" in rfcmap.page(tmp_path)
