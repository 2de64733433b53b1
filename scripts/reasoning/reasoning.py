#!/usr/bin/env python3
"""The experiments at the end of docs/reasoning.md: what reinforcement learning and distillation do for small models.

  scripts/reasoning/reasoning.py run [CELL...] [--threads N] [--fathom build/release/fathom]
  scripts/reasoning/reasoning.py status
  scripts/reasoning/reasoning.py report          pictures and tables again, from the committed results alone

A cell is some runs of the program with one seed; CELL may be a prefix ("rl-", "zero-s1"), none means all. Runs are kept in
runs/reasoning: what was stopped goes on, and a cell whose result is in docs/reasoning/runs is done.
"""

import json
import pathlib
import platform
import re
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import experiments

import cells
import corpus
import report
from workplace import Workplace

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def headers():
    """The directory of the C++ library's headers."""
    text = subprocess.run(["g++", "-E", "-x", "c++", "-"], input="#include <vector>\n", capture_output=True, text=True,
                          check=True).stdout
    found = re.search(r'^# 1 "(.*)/vector"', text, re.MULTILINE)
    return found.group(1) if found else sys.exit("the headers of the C++ library were not found; is g++ installed?")


def result_path(cell):
    return ROOT / "docs/reasoning/runs" / f"{cell}.json"


def chosen(prefixes):
    found = [entry for entry in cells.all_cells() if not prefixes or any(entry[0].startswith(p) for p in prefixes)]
    return found or sys.exit(f"no cell is called {' or '.join(prefixes)}; `status` lists them")


def run(arguments):
    work = Workplace(ROOT, arguments.fathom, arguments.threads, headers())
    corpus.prepare(work.fathom, work.data)
    for name, cell, seed in chosen(arguments.cells):
        if result_path(name).exists():
            continue
        about = {"cell": name, "about": cell.__doc__, "seed": seed,
                 "commit": experiments.commit(ROOT, "src", "scripts/reasoning"),
                 "machine": platform.machine(), "threads": arguments.threads}
        about |= cell(work, seed)
        result_path(name).parent.mkdir(parents=True, exist_ok=True)
        # A step a line.
        steps = about.pop("steps", [])
        rows = ",\n".join("  " + json.dumps(step) for step in steps)
        result_path(name).write_text(json.dumps(about, indent=1)[:-2] + f',\n "steps": [\n{rows}\n ]\n}}\n')


def status(arguments):
    for name, cell, _ in chosen(arguments.cells):
        print(f"{name:<12} {'done' if result_path(name).exists() else 'to do':<8} {cell.__doc__}")


def main():
    arguments = experiments.parse_arguments(__doc__, ROOT)
    if arguments.command == "status":
        return status(arguments)
    if arguments.command == "run":
        run(arguments)
    found = {name: json.loads(result_path(name).read_text()) for name, _, _ in cells.all_cells()
             if result_path(name).exists()}
    report.write(ROOT, found)


if __name__ == "__main__":
    main()
