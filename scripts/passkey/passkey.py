#!/usr/bin/env python3
"""Passkey retrieval beyond the length that a model was trained at (docs/inference.md, "Long context").

  scripts/passkey/passkey.py [--threads N] [--fathom build/release/fathom]

For each of three seeds: a small model with latent attention learns `fathom problems passkey` in sequences of 128 tokens;
the same model gets YaRN by a factor of 8 in its config.json; and it is trained for 100 more steps of context extension
with that factor at 1024 tokens. All three are asked held-out problems of 128 to 2048 tokens. What a seed gave is kept in
runs/passkey; the table in docs/inference.md and docs/passkey.json are written from all of them.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import experiments

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE, WORK = ROOT / "scripts/passkey", ROOT / "runs/passkey"
SEEDS, LEVELS, PROBLEMS = (1, 2, 3), (1, 2, 3, 4, 5), 300
TRAINED, FACTOR, STEPS = 128, 8, 100
YARN = {"type": "yarn", "factor": float(FACTOR), "original_max_position_embeddings": TRAINED, "beta_fast": 32,
        "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
MODELS = {"trained": f"trained at {TRAINED} tokens",
          "yarn": f"with YaRN by {FACTOR}, nothing trained",
          "extended": f"and {STEPS} steps at {TRAINED * FACTOR} tokens"}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build/release/fathom")
    return parser.parse_args()


def call(arguments, *words):
    command = [str(word) for word in (arguments.fathom, *words, "--quiet")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return done.stdout if done.returncode == 0 else sys.exit(f"this failed: {' '.join(command)}")


def train(arguments, output, *settings):
    shutil.rmtree(output, ignore_errors=True)
    words = ["train", HERE / "run.toml", "--threads", arguments.threads]
    for setting in (f"output={output}", *settings):
        words += ["--set", setting]
    call(arguments, *words)
    return output / "model"


def accuracy(arguments, model, level):
    result = call(arguments, "eval", model, "--task", f"passkey:{level}", "--plain", "--temperature", 0, "--max-tokens",
                  24, "--limit", PROBLEMS, "--threads", arguments.threads, "--json")
    return json.loads(result)["result"]["accuracy"]["value"]


def seed_result(arguments, seed):
    print(f"seed {seed}", file=sys.stderr)
    trained = train(arguments, WORK / f"s{seed}", f"seed={seed}", f"model.config={HERE}/model.json",
                    f"tokenizer.path={WORK}/tokenizer")
    scaled = WORK / f"s{seed}-yarn"
    shutil.rmtree(scaled, ignore_errors=True)
    shutil.copytree(trained, scaled)
    config = json.loads((scaled / "config.json").read_text())
    (scaled / "config.json").write_text(json.dumps(config | {"rope_scaling": YARN}, indent=2))
    extended = train(arguments, WORK / f"s{seed}-extended", f"seed={seed}", f"model.init_from={trained}", "steps=1",
                     "optimizer.lr=1e-5", "schedule.warmup_steps=0",
                     f"extension=[{{steps={STEPS}, sequence_length={TRAINED * FACTOR}, factor={FACTOR}, lr=1e-3}}]")
    models = {"trained": trained, "yarn": scaled, "extended": extended}
    return {name: {str(level): accuracy(arguments, model, level) for level in LEVELS} for name, model in models.items()}


def table(results):
    lengths = " | ".join(f"{TRAINED << (level - 1)}" for level in LEVELS)
    lines = [f"| | {lengths} tokens |", "|---" * (len(LEVELS) + 1) + "|"]
    for name, about in MODELS.items():
        cells = []
        for level in LEVELS:
            values = [100 * seed[name][str(level)] for seed in results["seeds"].values()]
            cells.append(f"{statistics.fmean(values):.0f} % ({min(values):.0f} to {max(values):.0f})")
        lines.append(f"| {about} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    arguments = parse_arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    text = WORK / "train.jsonl"
    if not text.exists():
        call(arguments, "problems", "passkey", "--count", 20000, "--difficulty", "1-4", "--form", "text", "--out", text)
    if not (WORK / "tokenizer").exists():
        call(arguments, "tokenize", "train", "--vocab-size", 512, "--out", WORK / "tokenizer", text)
    results = {"about": __doc__.splitlines()[0], "commit": experiments.commit(ROOT, "src", "scripts/passkey"), "seeds": {}}
    for seed in SEEDS:
        kept = WORK / f"s{seed}.json"
        if not kept.exists():
            kept.write_text(json.dumps(seed_result(arguments, seed)))
        results["seeds"][str(seed)] = json.loads(kept.read_text())
    (ROOT / "docs/passkey.json").write_text(json.dumps(results, indent=1) + "\n")
    page = ROOT / "docs/inference.md"
    marks = "<!-- passkey -->\n", "\n<!-- end of passkey -->"
    page.write_text(re.sub(f"{marks[0]}.*{marks[1]}", lambda _: table(results).join(marks), page.read_text(), flags=re.S))
    print(table(results))


if __name__ == "__main__":
    main()
