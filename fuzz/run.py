"""Fuzzes the parsers: ``python -m fuzz.run [--seconds T] [--seed N] [NAME ...]``.

Each target runs in a process of its own, two at a time, and gets its share of the time. An input that raises, takes
more than two seconds of CPU, or more than 512 MB of memory is a finding: it is kept in ``fuzz/findings`` and the exit
code is 1. ``--grow`` keeps in ``fuzz/corpus`` the inputs that reach what no seed reaches.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from fuzz import targets, worker

PAGE = targets.FOLDER.parent / "docs" / "measured" / "fuzz.md"
PROCESSES = 2
PATIENCE = 30.0  # seconds a process may take beyond its share


def fuzz(name: str, seconds: float, args: argparse.Namespace) -> worker.Result:
    """Run one target in a process; whatever ends the process before its time is a finding."""
    with tempfile.NamedTemporaryFile(prefix="penfold-fuzz-") as current:
        command = [sys.executable, "-m", "fuzz.run", "--one", current.name, "--seconds", str(seconds)]
        command += ["--seed", str(args.seed), *(["--grow"] if args.grow else []), name]
        command += ["--inputs", str(args.inputs)] if args.inputs is not None else []
        patience = None if args.inputs is not None else seconds * (3 if args.grow else 1) + PATIENCE
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
            if done.returncode == 0:
                return worker.Result(**json.loads(done.stdout.splitlines()[-1]))
            told = f"exit code {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}"
        except subprocess.TimeoutExpired:
            told = "it hangs"
        current.seek(0)
        data = current.read(int.from_bytes(current.read(4), "big"))
        return worker.Result(name, findings=[f"{worker.save(name, data)}: {told}"])


def table(results: list[worker.Result]) -> str:
    """Write what came of it."""
    lines = [
        "| target | inputs | inputs a second of CPU | corpus | steps seen | of these new | slowest input |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| `{each.name}` | {each.inputs:,} | {each.inputs / (each.seconds or 1):,.0f} | {each.corpus} | "
        f"{each.edges:,} | {each.new_edges:,} | {each.slowest * 1000:,.1f} ms ({each.slowest_size:,} octets) |"
        for each in results
    ]
    return "\n".join(lines) + "\n"


def page(results: list[worker.Result], args: argparse.Namespace) -> str:
    """Write the page of this run."""
    findings = [finding for each in results for finding in each.findings]
    date = time.strftime("%Y-%m-%d", time.gmtime())
    told = "\n".join(f"- {finding}" for finding in findings) if findings else "No findings."
    return (
        "# Fuzzing\n\n"
        "Each parser of octets that others write has a target in `fuzz/`. A run begins with the seeds and the corpus\n"
        "of each, and changes them: bits, octets, words of a dictionary, splices, repetitions, lengths up to 64 KB.\n"
        "Every tenth input is traced, and those that take a step from line to line that none took before are used\n"
        "further. An input that raises, takes more than 2 s of CPU or more than 512 MB is a finding.\n\n"
        f"{table(results)}\n"
        f"{sum(each.inputs for each in results):,} inputs. {told}\n\n"
        f"Measured {date}, {args.seconds:g} s in {PROCESSES} processes, seed {args.seed}. Again: "
        f"`make fuzz T={args.seconds:g}`.\n"
    )


def main() -> int:
    """Run all targets, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, in all")
    parser.add_argument("--inputs", type=int, help="so many inputs a target instead: always the same for one seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grow", action="store_true", help="keep new inputs that count in fuzz/corpus")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="*", help="targets; all of them where none is named")
    args = parser.parse_args()
    unknown = set(args.name) - set(targets.names())
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))} (there are: {', '.join(targets.names())})")
    if args.one:
        worker.main(args.name[0], args.seconds, args.inputs, args.seed, args.one, grow=args.grow)
        return 0
    chosen = args.name or targets.names()
    share = args.seconds * min(PROCESSES, len(chosen)) / len(chosen)
    with ThreadPoolExecutor(PROCESSES) as pool:
        results = list(pool.map(lambda name: fuzz(name, share, args), chosen))
    print(table(results))
    findings = [finding for each in results for finding in each.findings]
    print(*findings or ["No findings."], sep="\n")
    if not args.name:
        PAGE.write_text(page(results, args))
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
