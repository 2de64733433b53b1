#!/usr/bin/env python3
"""The experiments behind docs/claims.md.

  scripts/claims/claims.py run [CELL...] [--threads N] [--fathom build/release/fathom]
  scripts/claims/claims.py status
  scripts/claims/claims.py report          pictures and tables again, from the committed logs alone

A cell is one `fathom train` run; CELL may be a prefix ("proof-", "moe-s1"), none means all. A cell that was stopped
goes on from its checkpoint (in runs/claims/CELL), and one whose log is in docs/claims/runs is done. Losses do not
depend on the number of threads.
"""

import json
import pathlib
import platform
import shutil
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import experiments

import cells
import outliers
import report
import results
import text

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = ROOT / "runs/claims"


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def train(fathom, output, settings, threads):
    """Starts or goes on; returns the lines of its log, or None when it did not reach its end."""
    command = [fathom, "train", pathlib.Path(__file__).parent / "base.toml", "--threads", str(threads)]
    if any((output / "checkpoints").glob("step-*")):
        command.append("--resume")
    for setting in (f"output={output}", *settings):
        command += ["--set", setting]
    # 130: stopped by Ctrl-C, with a checkpoint.
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode not in (0, 130):
        sys.exit(f"{output.name}: the run failed; what it wrote is in {output}")
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return log if any(line["kind"] == "result" for line in log) else None


def run_cell(cell, variant, seed, identity, arguments):
    output = WORK / cell
    output.mkdir(parents=True, exist_ok=True)
    commits = output / "commits"
    known = commits.read_text().split() if commits.exists() else []
    if (now := experiments.commit(ROOT, "src")) not in known:
        known.append(now)
        commits.write_text("\n".join(known) + "\n")
    print(f"{cell}: {variant.about}", file=sys.stderr)
    settings = cells.settings(variant, seed, ROOT)
    log = train(arguments.fathom, output, settings, arguments.threads)
    if log is None:
        sys.exit(f"{cell} was stopped; the same command goes on with it")
    about = {"cell": cell, "about": variant.about, "seed": seed, "commit": known,
             "settings": [setting.replace(f"{ROOT}/", "") for setting in settings], "text": identity,
             "processor": processor(), "threads": arguments.threads}
    results.write(ROOT, cell, about, log)
    for folder in ("checkpoints", "data"):
        shutil.rmtree(output / folder, ignore_errors=True)


def chosen(prefixes):
    found = [entry for entry in cells.all_cells() if not prefixes or any(entry[0].startswith(p) for p in prefixes)]
    if not found:
        sys.exit(f"no cell is called {' or '.join(prefixes)}; `status` lists them")
    return found


def run(arguments):
    identity = text.prepare(ROOT, arguments.fathom, WORK)
    for cell, variant, seed in chosen(arguments.cells):
        if results.path(ROOT, cell).exists():
            continue
        if variant.name == outliers.NAME:
            outliers.run(ROOT, WORK, seed, identity, arguments, train)
        else:
            run_cell(cell, variant, seed, identity, arguments)


def status(arguments):
    for cell, variant, _ in chosen(arguments.cells):
        if results.path(ROOT, cell).exists():
            state = "done"
        elif (log := WORK / cell / "log.jsonl").exists():
            steps = [json.loads(line).get("step", 0) for line in log.read_text().splitlines()[-3:]]
            state = f"at step {max(steps, default=0)}"
        else:
            state = "to do"
        print(f"{cell:<20} {state:<16} {variant.about}")


def main():
    arguments = experiments.parse_arguments(__doc__, ROOT)
    if arguments.command == "run":
        run(arguments)
        report.write(ROOT)
    elif arguments.command == "status":
        status(arguments)
    else:
        report.write(ROOT)


if __name__ == "__main__":
    main()
