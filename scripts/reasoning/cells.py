"""What is tried. A cell is a function of a Workplace and a seed that gives what docs/reasoning/runs/CELL.json keeps."""

import json
import shutil

SEEDS = (0, 1, 2)
ANSWERS = ("--samples", "4", "--temperature", "0.6", "--top-p", "0.95", "--max-tokens", "96")
RL_STEPS, ZERO_STEPS, SMALL_STEPS = 30, 60, 40


def base(work, seed, student=False):
    """A base model, trained once for all cells of the seed."""
    name = f"{'student' if student else 'base'}-s{seed}"
    settings = ["steps=1500" if student else "steps=2000", f"seed={seed}"]
    for i, source in enumerate((work.headers, work.data / "stories.jsonl", work.data / "sums.jsonl")):
        settings.append(f"data.source[{i}].path={source}")
    if student:
        settings += ["model.preset=''", f"model.config={work.here / 'student.json'}",
                     f"tokenizer.path={base(work, seed)}"]
    return work.run("train", "base.toml", name, settings)


def tuned(work, seed, student=False):
    """A base model that has seen conversations, of which a quarter work the answer out."""
    name = f"tuned-{'student-' if student else ''}s{seed}"
    return work.run("sft", "tune.toml", name, [f"seed={seed}", f"model.init_from={base(work, seed, student)}",
                                               f"data.source=[{{path='{work.data / 'chats.jsonl'}'}}]"])


def reinforced(work, seed, start, name, steps):
    settings = [f"seed={seed}", f"steps={steps}", f"model.init_from={start}",
                f"data.source=[{{path='{work.data / 'tasks.jsonl'}'}}]"]
    return work.run("rl", "rl.toml", name, settings)


def measured(work, model, name, *options, against=None):
    options = [*ANSWERS, "--think", *options] if "--plain" not in options else [*ANSWERS, *options]
    return work.measure(model, name, options, against)


def curve(work, name):
    keys = ("reward", "accuracy", "format", "answer_tokens", "finished", "seconds")
    return [{key: line[key] for key in ("step", *keys) if key in line} for line in work.log(name) if
            line["kind"] == "step"]


def rl(work, seed):
    """(a) What reinforcement learning adds to a tuned model."""
    start, name = tuned(work, seed), f"rl-s{seed}"
    model = reinforced(work, seed, start, name, RL_STEPS)
    return {"base": measured(work, base(work, seed), f"base-s{seed}", "--plain"),
            "tuned": measured(work, start, f"tuned-s{seed}"),
            "rl": measured(work, model, name, against=start), "steps": curve(work, name)}


def zero(work, seed):
    """(b) R1-Zero: from the base model, by rewards for right answers and for the layout alone."""
    start, name = work.directory / f"zero-start-s{seed}", f"zero-s{seed}"
    if not start.exists():
        shutil.copytree(base(work, seed), start.with_suffix(".part"))
        shutil.copy(work.here / "zero.jinja", start.with_suffix(".part") / "chat_template.jinja")
        start.with_suffix(".part").rename(start)
    settings = [f"seed={seed}", f"steps={ZERO_STEPS}", f"model.init_from={start}",
                "reward={accuracy=1, format=0.5, think_format='think-answer', extract='tags'}",
                f"data.source=[{{path='{work.data / 'tasks.jsonl'}'}}]"]
    model = work.run("rl", "rl.toml", name, settings)
    asked = ("--extract", "tags", "--temperature", "1", "--top-p", "1", "--max-tokens", "64")
    return {"base": work.measure(start, f"zero-start-s{seed}", [*asked, "--samples", "16"]),
            "zero": work.measure(model, name, [*asked, "--samples", "4"]), "steps": curve(work, name)}


def small(work, seed):
    """(c) A smaller dense model: a larger one's traces, or reinforcement learning of its own, at equal compute."""
    start, teacher = tuned(work, seed, student=True), work.directory / f"rl-s{seed}/model"
    reinforced(work, seed, tuned(work, seed), f"rl-s{seed}", RL_STEPS)
    name = f"small-rl-s{seed}"
    model = reinforced(work, seed, start, name, SMALL_STEPS)
    spent = work.rl_flops(name, start, work.data / "tasks.jsonl")
    # As many traces as that compute pays for: those of the teacher, and two epochs of tuning on them.
    tasks = work.data / "tasks.jsonl"
    trace, price = work.trace_flops(f"rl-s{seed}", teacher, start, tasks)
    count = min(4000, int(spent / price))
    traced = f"small-distilled-s{seed}"
    pupil = work.run("distill", "distill.toml", traced, [
        f"seed={seed}", f"teacher.model={teacher}", f"student.model.init_from={start}", "sampling.samples=1",
        f"data.source=[{{path='{work.first(tasks, count)}'}}]"])
    return {"tuned": measured(work, start, f"tuned-student-s{seed}"),
            "rl": measured(work, model, name, against=start),
            "distilled": measured(work, pupil, traced, against=model),
            "flops": spent, "traces": count, "flops_of_a_trace": price, "tokens_of_a_trace": trace,
            "steps": curve(work, name)}


def gsm8k(work, seed):
    """(d) GSM8K's own files through tuning, reinforcement learning and evaluation, as they are."""
    train, test = work.shared / "gsm8k-train.jsonl", work.shared / "gsm8k-test.jsonl"
    start = work.run("sft", "tune.toml", f"gsm8k-tuned-s{seed}", [
        f"seed={seed}", f"model.init_from={base(work, seed)}", "data.sequence_length=512",
        f"data.source=[{{path='{train}'}}]"])
    model = work.run("rl", "rl.toml", f"gsm8k-rl-s{seed}", [
        f"seed={seed}", "steps=10", f"model.init_from={start}", "rollout.max_tokens=160",
        f"data.source=[{{path='{train}'}}]"])
    asked = ["--think", "--temperature", "0", "--max-tokens", "256"]
    return {"tuned": work.measure(start, f"gsm8k-tuned-s{seed}", asked, task=test),
            "rl": work.measure(model, f"gsm8k-rl-s{seed}", asked, task=test),
            "steps": curve(work, f"gsm8k-rl-s{seed}")}


def all_cells():
    cells = [(f"{cell.__name__}-s{seed}", cell, seed) for cell in (rl, zero, small) for seed in SEEDS]
    return cells + [("gsm8k-s0", gsm8k, 0)]
