"""Tables and pictures from the committed results: docs/reasoning/*.svg, and docs/reasoning.md between its marks."""

import pathlib
import re
import statistics
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from charts import Chart

import cells


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def share(measured):
    return f"{100 * measured['value']:.1f} % ({100 * measured['low']:.1f} to {100 * measured['high']:.1f})"


def points(measured):
    return (f"{100 * measured['value']:+.1f} ({100 * measured['low']:+.1f} to {100 * measured['high']:+.1f})")


def of(found, kind):
    return [found[name] for name, cell, _ in cells.all_cells() if cell.__name__ == kind and name in found]


def smooth(values, window=3):
    return [statistics.fmean(values[max(0, i - window + 1):i + 1]) for i in range(len(values))]


def curves(root, name, title, runs, keys, top=1.2):
    """Some shares of every run over its steps, a colour each."""
    last = max(step["step"] for run in runs for step in run["steps"])
    chart = Chart(title, "step", "share of the answers", (0, last), (0, top))
    chart.x_ticks(range(0, last + 1, 10))
    for colour, (key, label) in enumerate(keys):
        for run in runs:
            chart.line([step["step"] for step in run["steps"]], smooth([step[key] for step in run["steps"]]), colour)
        chart.label(label, colour)
    chart.save(root / "docs/reasoning" / f"{name}.svg")


def lengths(root, name, title, runs):
    last = max(step["step"] for run in runs for step in run["steps"])
    most = max(step["answer_tokens"] for run in runs for step in run["steps"])
    chart = Chart(title, "step", "tokens of an answer", (0, last), (0, 1.1 * most))
    chart.x_ticks(range(0, last + 1, 10))
    for run in runs:
        chart.line([step["step"] for step in run["steps"]], smooth([step["answer_tokens"] for step in run["steps"]]), 0)
    chart.save(root / "docs/reasoning" / f"{name}.svg")


def rl(root, runs):
    rows = [[str(run["seed"]), share(run["base"]["accuracy"]), share(run["tuned"]["accuracy"]),
             share(run["rl"]["accuracy"]), points(run["rl"]["gain"]["difference"])] for run in runs]
    curves(root, "rl", "Reinforcement learning of a tuned model", runs, [("accuracy", "right")])
    return table(["seed", "pre-trained, asked in plain text", "tuned", "reinforced", "gain in points"], rows)


def zero(root, runs):
    rows = [[str(run["seed"]), share(run["base"]["accuracy"]), share(run["base"]["pass_at"]["16"]),
             share(run["zero"]["accuracy"]), f"{100 * run['steps'][0]['format']:.0f} %",
             f"{100 * run['steps'][-1]['format']:.0f} %", f"{run['base']['mean_tokens']:.0f}",
             f"{run['zero']['mean_tokens']:.0f}"] for run in runs]
    curves(root, "zero", "R1-Zero: from a base model", runs, [("accuracy", "right"), ("format", "in the layout")])
    lengths(root, "zero-length", "R1-Zero: length", runs)
    return table(["seed", "base", "base, pass@16", "afterwards", "in the layout: first step", "last step",
                  "tokens of an answer: base", "afterwards"], rows)


def small(root, runs):
    rows = [[str(run["seed"]), share(run["tuned"]["accuracy"]), share(run["rl"]["accuracy"]),
             share(run["distilled"]["accuracy"]), points(run["distilled"]["gain"]["difference"]),
             f"{run['flops'] / 1e12:.1f} T", f"{run['traces']}"] for run in runs]
    return table(["seed", "small model, tuned", "reinforced", "distilled", "distilled over reinforced, in points",
                  "operations of each", "traces"], rows)


def gsm8k(root, runs):
    rows = [[share(run["tuned"]["accuracy"]), share(run["rl"]["accuracy"]), f"{run['tuned']['mean_tokens']:.0f}",
             f"{run['rl']['mean_tokens']:.0f}"] for run in runs]
    return table(["tuned", "and reinforced for ten steps", "tokens of an answer: tuned", "reinforced"], rows)


def write(root, found):
    page = root / "docs/reasoning.md"
    text = page.read_text()
    for section in (rl, zero, small, gsm8k):
        name, runs = section.__name__, of(found, section.__name__)
        content = section(root, runs) if runs else "Not run yet."
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not mark.search(text):
            sys.exit(f"docs/reasoning.md has no marks for {name}")
        text = mark.sub(lambda match: match.group(1) + content + "\n" + match.group(2), text)
    page.write_text(text)
