"""Pictures and tables from the committed logs: docs/claims/*.svg, and the tables of docs/claims.md between its marks."""

import pathlib
import re
import statistics
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from charts import Chart

import cells
import outliers
import results

ABOUT = {variant.name: variant.about for variant in cells.VARIANTS}


class Runs:
    """The committed runs by variant and seed."""

    def __init__(self, root):
        self.found = {cell: run for cell, _, _ in cells.all_cells() if (run := results.read(root, cell))}

    def seeds(self, *variants):
        """The seeds of which every one of these is there."""
        return [seed for seed in cells.SEEDS if all(f"{variant}-s{seed}" in self.found for variant in variants)]

    def __call__(self, variant, seed):
        return self.found[f"{variant}-s{seed}"]


def held_out(run):
    return run["result"]["loss"]


def percent(mean, half):
    return f"{mean:+.2f} %" if half is None else f"{mean:+.2f} % ± {half:.2f}"


def difference(runs, variant, base, measure):
    """Of every seed: how much more the variant has than the base, in percent."""
    return [100 * (measure(runs(variant, seed)) / measure(runs(base, seed)) - 1)
            for seed in runs.seeds(variant, base)]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def losses(runs, variants, base, measure=held_out, extra=(), name="held-out loss"):
    """A table of a measure, and of its difference from `base` within a seed. extra: (head, run -> text) columns."""
    rows = []
    for variant in variants:
        seeds = runs.seeds(variant)
        if not seeds:
            rows.append([ABOUT[variant], "not run yet"] + [""] * (1 + len(extra)))
            continue
        values = ", ".join(f"{measure(runs(variant, seed)):.4f}" for seed in seeds)
        pairs = difference(runs, variant, base, measure)
        apart = "" if variant == base or not pairs else percent(*results.interval(pairs))
        rows.append([ABOUT[variant], values, apart, *(show(runs, variant, seeds) for _, show in extra)])
    return table(["", f"{name}, by seed", "difference (95 %)", *(head for head, _ in extra)], rows)


def mean_of(measure, form="{:.3f}"):
    def show(runs, variant, seeds):
        mean, half = results.interval([measure(runs(variant, seed)) for seed in seeds])
        return form.format(mean) + ("" if half is None else f" ± {form.format(half)}")
    return show


def over_tokens(title, unit, tokens, y_range, **options):
    chart = Chart(title, "tokens", unit, (0, tokens), y_range, **options)
    chart.x_ticks([tokens * i / 5 for i in range(6)], [f"{tokens * i / 5e6:.1f}M" for i in range(6)])
    return chart


def curves(runs, root, file, title, variants, name="loss", unit="loss, nats a token"):
    """A column of the logs over tokens, every seed."""
    found = [(i, variant, seed) for i, variant in enumerate(variants) for seed in runs.seeds(variant)]
    if not found:
        return
    tail = [value for _, variant, seed in found for value in results.column(runs(variant, seed), name)]
    tokens = max(runs(variant, seed)["tokens"] for _, variant, seed in found)
    top = min(max(tail), min(tail) + 2.5) if name == "loss" else max(tail)
    chart = over_tokens(title, unit, tokens, (min(tail) - 0.05, top))
    for i, variant, seed in found:
        run = runs(variant, seed)
        steps = results.column(run, "step")
        chart.line([run["tokens"] * step / steps[-1] for step in steps], results.column(run, name), i, faint=True)
    for i, variant in enumerate(variants):
        if runs.seeds(variant):
            chart.label(ABOUT[variant][:32], i)
    chart.save(root / "docs/claims" / file)


def apart(runs, root, file, title, base, variants, names=None, band=None, labels_left=False):
    """How far the loss is from the same seed's run of `base`, over tokens: windows of a twenty-fifth of the run."""
    pairs = [(i, variant, seed) for i, variant in enumerate(variants) for seed in runs.seeds(variant, base)]
    if not pairs:
        return
    lines = []
    for i, variant, seed in pairs:
        a, b = (results.column(runs(name, seed), "loss") for name in (variant, base))
        tokens, size = runs(variant, seed)["tokens"], max(1, len(a) // 25)
        xs, ys = [], []
        for first in range(0, len(a) - size + 1, size):
            part = slice(first, first + size)
            xs.append(tokens * (first + size / 2) / len(a))
            ys.append(100 * (statistics.fmean(a[part]) / statistics.fmean(b[part]) - 1))
        lines.append((i, xs, ys))
    # Of the beginning, where losses fall fast, the scale takes no notice.
    reach = 1.2 * max(abs(y) for _, _, ys in lines for y in ys[len(ys) // 4:])
    chart = over_tokens(title, "%", tokens, (-reach, reach), labels_left=labels_left)
    if band:
        chart.band(-band, band)
    for i, xs, ys in lines:
        chart.line(xs, ys, i, dashed=len(variants) > 1 and i == 0)
    for i, name in enumerate(names or [ABOUT[variant] for variant in variants]):
        chart.label(name, i)
    chart.save(root / "docs/claims" / file)


def proof(runs):
    rows = []
    for seed in cells.SEEDS:
        row = [str(seed)]
        for variant in ("proof-bf16", "proof-control", "proof-fp8"):
            row.append(f"{results.last_tenth(runs(variant, seed)):.4f}" if runs.seeds(variant).count(seed) else "")
        for variant in ("proof-control", "proof-fp8"):
            pair = seed in runs.seeds(variant, "proof-bf16")
            row.append(f"{100 * (results.last_tenth(runs(variant, seed)) / results.last_tenth(runs('proof-bf16', seed)) - 1):+.3f} %"
                       if pair else "")
        rows.append(row)
    return table(["seed", "bf16", "control", "FP8", "control apart", "FP8 apart"], rows)


def outlier_table(runs, root):
    seeds = runs.seeds(outliers.NAME)
    if not seeds:
        return "Not run yet."
    rows, drawn = [], {}
    for exponent in outliers.EXPONENTS:
        row = [f"2^{exponent}"]
        for recipe in outliers.RECIPES:
            worse = []
            for seed in seeds:
                loss = {(name, size): value for name, size, value, _ in runs(outliers.NAME, seed)["rows"]}
                worse.append(100 * (loss[recipe, exponent] / loss["bf16", 0] - 1))
            drawn[recipe, exponent] = statistics.fmean(worse)
            row.append(percent(*results.interval(worse)))
        rows.append(row)
    top = 4.0  # What is worse stands at the upper edge, with its value.
    chart = Chart("Held-out loss with outlier features", "size of the outliers", "% more than bf16",
                  (-0.5, len(outliers.EXPONENTS) - 0.5), (-0.1, top), labels_left=True)
    chart.x_ticks(range(len(outliers.EXPONENTS)), [f"2^{exponent}" for exponent in outliers.EXPONENTS])
    for i, recipe in enumerate(outliers.RECIPES):
        ys = [drawn[recipe, exponent] for exponent in outliers.EXPONENTS]
        chart.line(range(len(ys)), ys, i)
        for x, y in enumerate(ys):
            chart.dot(x, y, i, hollow=y > top)
            if y > top:
                chart.text(x, y, f"{y:.0f} %")
        chart.label(recipe, i)
    chart.save(root / "docs/claims/fp8-outliers.svg")
    return table(["outliers", *outliers.RECIPES], rows)


# (base, variant) of every claim about the loss.
COMPARISONS = (("dense", "moe"), ("balance-aux", "moe"), ("balance-none", "moe"), ("moe", "mtp"), ("mha", "dense"),
               ("gqa", "dense"), ("moe", "fp8"), ("moe", "fp8-tensor"))


def differences(runs, root):
    """Each comparison's seeds, mean and interval, side by side."""
    found = [(base, variant, values) for base, variant in COMPARISONS
             if (values := difference(runs, variant, base, held_out))]
    if not found:
        return
    sums = [results.interval(values) for _, _, values in found]
    reach = min(10, 1.1 * max(0.5, *(abs(mean) + (half or 0) for mean, half in sums)))
    chart = Chart("Held-out loss: the first against the second", "", "% (dots: seeds; bars: 95 %)",
                  (-0.5, len(found) - 0.5), (-reach, reach))
    chart.x_ticks(range(len(found)), [f"{variant}\n/ {base.removeprefix('balance-')}" for base, variant, _ in found])
    for i, ((_, _, values), (mean, half)) in enumerate(zip(found, sums)):
        for value in values:
            chart.dot(i, value, 0, hollow=True)
        if half is not None:
            chart.bar(i + 0.15, mean - half, mean + half, 1)
        chart.dot(i + 0.15, mean, 1)
    chart.save(root / "docs/claims/differences.svg")


def violation(run):
    return results.last_tenth(run, "max_violation")


def write(root):
    runs = Runs(root)
    apart(runs, root, "fp8-pairs.svg", "Loss against the same seed's bf16 run", "proof-bf16",
          ("proof-control", "proof-fp8"), ("bf16, another order of sums", "FP8"), band=0.25, labels_left=True)
    differences(runs, root)
    curves(runs, root, "fp8-loss.svg", "FP8 and bf16, three seeds each", ("proof-bf16", "proof-fp8"))
    apart(runs, root, "moe-dense.svg", "Loss against the same seed's dense model of the same FLOPs", "dense", ("moe",))
    curves(runs, root, "balance.svg", "Max violation", ("moe", "balance-aux", "balance-none"), "max_violation", "")
    apart(runs, root, "mtp.svg", "Loss of the next token against the same seed's run without MTP", "moe", ("mtp",))
    apart(runs, root, "attention.svg", "Loss against the same seed's latent attention", "dense", ("mha", "gqa"))
    acceptance = lambda run: 100 * run["result"]["mtp_acceptance"][0]
    tables = {
        "proof": proof(runs),
        "tiles": losses(runs, ("moe", "fp8", "fp8-tensor"), "moe"),
        "outliers": outlier_table(runs, root),
        "moe": losses(runs, ("dense", "moe"), "dense"),
        "balance": losses(runs, ("moe", "balance-aux", "balance-none"), "moe",
                          extra=[("max violation, last tenth", mean_of(violation, "{:.2f}"))]),
        "mtp": losses(runs, ("moe", "mtp"), "moe",
                      extra=[("second token accepted", lambda runs, variant, seeds: "" if variant == "moe" else
                              mean_of(acceptance, "{:.1f} %")(runs, variant, seeds))]),
        "attention": losses(runs, ("dense", "mha", "gqa"), "dense",
                            extra=[("parameters", lambda runs, variant, seeds:
                                    f"{runs(variant, seeds[0])['parameters']:,}")]),
    }
    page = root / "docs/claims.md"
    text = page.read_text()
    for name, content in tables.items():
        text, times = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda match: f"{match[1]}{content}\n{match[2]}",
                              text, flags=re.S)
        if times != 1:
            raise SystemExit(f"{page} has {times} places for the table '{name}'")
    page.write_text(text)
