"""The committed log of a cell: docs/claims/runs/CELL.json.

It has what the run was (settings, seed, commit, text), its result line, and means over every WINDOW steps of what
log.jsonl has for each step. A tenth of a run is a whole number of windows.
"""

import json
import statistics

WINDOW = 10
COLUMNS = ("loss", "mtp_loss", "grad_norm", "max_violation", "lr")
# Two-sided 95 % of Student's t, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


def path(root, cell):
    return root / "docs/claims/runs" / f"{cell}.json"


def number(value):
    return value[0] if isinstance(value, list) else value


def write(root, cell, about, log):
    steps = [line for line in log if line["kind"] == "step"]
    start = next(line for line in log if line["kind"] == "start")
    result = next(line for line in log if line["kind"] == "result")
    columns = [name for name in COLUMNS if name in steps[0]]
    rows = []
    for first in range(0, len(steps), WINDOW):
        window = steps[first:first + WINDOW]
        means = [statistics.fmean(number(line[name]) for line in window) for name in columns]
        rows.append([window[-1]["step"], *(float(f"{mean:.6g}") for mean in means)])
    about |= {"parameters": start["parameters"], "active_parameters": start["active_parameters"],
              "tokens": steps[-1]["tokens"],
              "tokens_per_second": round(statistics.median(line["tokens_per_second"] for line in steps)),
              "result": {key: value for key, value in result.items() if key not in ("kind", "step")},
              "columns": ["step", *columns]}
    # One window a line.
    text = json.dumps(about, indent=1)[:-2] + ',\n "rows": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n ]\n}\n"
    target = path(root, cell)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def read(root, cell):
    file = path(root, cell)
    return json.loads(file.read_text()) if file.exists() else None


def column(run, name):
    at = run["columns"].index(name)
    return [row[at] for row in run["rows"]]


def last_tenth(run, name="loss"):
    """The mean over the last tenth of the steps."""
    values = column(run, name)
    return statistics.fmean(values[-len(values) // 10:])


def interval(values):
    """Mean and half of the 95 % interval; None for a single value."""
    if len(values) < 2:
        return values[0], None
    half = STUDENT[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), half
