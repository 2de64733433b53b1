#!/usr/bin/env python3
"""Exports a model that Fathom trained to GGUF and compares llama.cpp's reading of it with Fathom's.

  scripts/parity/gguf_llama_cpp.py MODEL_DIRECTORY [--fathom build/release/fathom] [--text FILE]

For each type: `fathom convert MODEL FILE.gguf --dtype TYPE`, then the log-probabilities of all tokens of the
vocabulary at every position of a text, from
  - Fathom in f32 with the model directory (what the export should mean),
  - Fathom in f32 with the GGUF file (the same quantised weights),
  - llama.cpp with the GGUF file and its default settings.
KL is the mean over positions of sum p ln(p / q), in nats, q llama.cpp's. The greedy token is compared wherever
Fathom's two likeliest are more than 0.1 apart.

Fails when llama.cpp gets other token ids from the text, and
  - f32:  at a KL of 1e-5 or another greedy token: both compute the same, so this shows that the export is right;
  - else: at a KL of 1e-3 (q4_k: against the same weights; against the model it is shown), or when more than 0.5 % of
    the greedy tokens differ (q8_0 and q4_k: from those of the same weights; what quantisation itself changes is shown).
    llama.cpp rounds the inputs of products to bf16, or to int8 with a scale for 32: where two experts are nearly tied,
    that may choose the other one. Models without experts have none that differ.

llama.cpp comes from the package llama-cpp-python, built from source in a virtual environment that this script makes
(--venv, default build/llama-cpp-venv; ten minutes and a C++ compiler).
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import own_venv

PACKAGES = ["llama-cpp-python==0.3.36", "gguf==0.19.0", "numpy==2.4.6"]
VENV = pathlib.Path(__file__).resolve().parents[2] / "build" / "llama-cpp-venv"
TYPES = ["f32", "bf16", "q8_0", "q4_k"]
LARGEST_KL = 1e-3
LARGEST_KL_F32 = 1e-5
LARGEST_SHARE_OF_OTHERS = 0.005
SURE_GAP = 0.1

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("model", type=pathlib.Path)
ARGUMENTS.add_argument("--fathom", default="build/release/fathom")
ARGUMENTS.add_argument("--text", type=pathlib.Path, help="compare on the beginning of this file")
ARGUMENTS.add_argument("--tokens", type=int, default=400)
ARGUMENTS.add_argument("--venv", type=pathlib.Path, default=VENV)

TEXT = """First Citizen:
Before we proceed any further, hear me speak.

All:
Speak, speak.

First Citizen:
You are all resolved rather to die than to famish?
"""


def fathom_scores(fathom, model, text, vocabulary):
    """(ids, log-probabilities [positions, vocabulary]); row i predicts token i + 1."""
    import numpy as np

    command = [fathom, "score", str(model), "--text", text, "--dtype", "f32", "--top", str(vocabulary), "--json",
               "--quiet"]
    scored = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    rows = np.full((len(scored["tokens"]) - 1, vocabulary), np.nan)
    for row, ranked in zip(rows, scored["top"][1:]):
        ranked = np.array(ranked)
        row[ranked[:, 0].astype(int)] = ranked[:, 1]
    assert not np.isnan(rows).any()
    return scored["tokens"], rows


def llama_scores(file, text):
    import llama_cpp
    import numpy as np

    @llama_cpp.llama_log_callback
    def quiet(level, message, data):
        if level == 4:  # errors
            sys.stderr.write(message.decode("utf-8", "replace"))

    llama_cpp.llama_log_set(quiet, None)
    model = llama_cpp.Llama(str(file), n_ctx=0, n_batch=512, n_threads=os.cpu_count(), logits_all=True, verbose=False)
    ids = model.tokenize(text.encode(), add_bos=True, special=False)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids) - 1], dtype=np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    model.close()
    return ids, logits


def compare(p, q):
    """(KL, sure positions, of those with another greedy token)."""
    import numpy as np

    kl = float((np.exp(p) * (p - q)).sum(axis=1).mean())
    best = np.sort(p, axis=1)
    sure = best[:, -1] - best[:, -2] > SURE_GAP
    return kl, int(sure.sum()), int((p.argmax(axis=1) != q.argmax(axis=1))[sure].sum())


def main():
    arguments = ARGUMENTS.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    text = TEXT if arguments.text is None else arguments.text.read_text(errors="replace")[: 4 * arguments.tokens]
    vocabulary = json.loads((arguments.model / "config.json").read_text())["vocab_size"]
    tokens, truth = fathom_scores(arguments.fathom, arguments.model, text, vocabulary)
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for dtype in TYPES:
            file = pathlib.Path(directory) / f"{dtype}.gguf"
            subprocess.run([arguments.fathom, "convert", str(arguments.model), str(file), "--dtype", dtype, "--quiet"],
                           check=True, stdout=subprocess.DEVNULL)
            ids, theirs = llama_scores(file, text)
            if list(ids) != tokens:
                sys.exit(f"{dtype}: llama.cpp has other ids: {list(ids)[:20]}..., Fathom {tokens[:20]}...")
            _, ours = fathom_scores(arguments.fathom, file, text, vocabulary)
            for name, reference in (("the model", truth), ("the same weights", ours)):
                kl, sure, other = compare(reference, theirs)
                largest = LARGEST_KL_F32 if dtype == "f32" else LARGEST_KL
                others = 0 if dtype == "f32" else LARGEST_SHARE_OF_OTHERS * sure
                far = not kl < largest and not (dtype == "q4_k" and name == "the model")
                wrong = far or (other > others and not (dtype in ("q8_0", "q4_k") and name == "the model"))
                failed |= wrong
                print(f"{dtype:5} llama.cpp against Fathom with {name:16}: KL {kl:.2e} over {len(tokens) - 1} tokens, "
                      f"greedy differs at {other} of {sure} sure ones{'  <-- FAILED' if wrong else ''}")
            print(f"{dtype:5} file {file.stat().st_size} bytes; quantisation alone: KL {compare(truth, ours)[0]:.2e}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
