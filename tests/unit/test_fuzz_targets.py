"""Every fuzz target endures its seeds, its corpus and a few hundred mutations, always the same ones."""

import mmap

import pytest
from fuzz import targets, trace, worker
from fuzz.mutate import MOST, Mutator

INPUTS = 200
LONGEST = 4096  # the few longer ones are left to the fuzzer itself


@pytest.mark.parametrize("name", targets.names())
def test_target_endures_its_seeds_its_corpus_and_mutations_of_them(name):
    target = targets.load(name)
    for data in target.known:
        target.run(data)
    mutator = target.mutator(seed=5321)
    for _ in range(INPUTS):
        target.run(mutator()[:LONGEST])


@pytest.mark.parametrize("name", targets.names())
def test_corpus_is_small(name):
    corpus = targets.corpus(name)
    assert sum(map(len, corpus)) <= 50_000
    assert len(set(corpus)) == len(corpus)


def test_corpora_belong_to_targets():
    assert {path.name for path in targets.CORPUS.iterdir()} <= set(targets.names())


def test_mutations_are_the_same_for_the_same_seed_and_bounded():
    pool = [b"MAIL FROM:<a@b.c> SIZE=1\r\n", b"x" * 3000]
    one, other = Mutator(list(pool), (), 7), Mutator(list(pool), (), 7)
    made = [one() for _ in range(2000)]
    assert made == [other() for _ in range(2000)]
    assert len(set(made)) > 1000
    assert max(map(len, made)) <= MOST
    assert any(len(data) > 10_000 for data in made)


def test_an_input_that_goes_another_way_takes_new_steps():
    run = targets.load("proxy").run
    known = trace.edges(run, b"PROXY UNKNOWN\r\n")
    assert not trace.edges(run, b"PROXY UNKNOWN\r\n") - known
    assert trace.edges(run, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n") - known


def test_an_input_that_raises_is_kept_as_a_finding_once_a_place(tmp_path, monkeypatch):
    def run(data):
        if data != b"abc":
            raise KeyError(data)

    monkeypatch.setattr(targets, "FOLDER", tmp_path)
    monkeypatch.setattr(targets, "FINDINGS", tmp_path / "findings")
    monkeypatch.setattr(targets, "load", lambda name: targets.Target(name, run, [b"abc"], ()))
    with mmap.mmap(-1, 1 << 20) as current:
        result = worker.Worker("one", seed=1, current=current).work(seconds=60, most=100)
    assert len(result.findings) == 1
    assert "KeyError at test_fuzz_targets.py" in result.findings[0]
    (kept,) = (tmp_path / "findings").iterdir()
    assert kept.read_bytes() != b"abc"
    assert result.inputs == 100
