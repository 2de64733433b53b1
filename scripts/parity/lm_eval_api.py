#!/usr/bin/env python3
"""Runs lm-evaluation-harness against `fathom serve`, in its API mode, and compares with `fathom score`.

  scripts/parity/lm_eval_api.py MODEL_DIRECTORY [--fathom build/release/fathom] [--venv build/lm-eval-venv]

Three tasks whose rows the script makes: multiple choice by log-probability, bits per byte of texts
(loglikelihood_rolling), and written answers, as plain text and as chat. The harness gets the model's tokenizer from the
server (/tokenizer_info, /tokenize). Each log-probability that it computes from the server's answers has to be the sum of
those that `fathom score` gives for the same ids. (The harness puts no begin token before a question and an end token before a
text, so its figures are near those of `fathom eval`, and not the same.) Packages go into a virtual environment of the
script's own; nothing is downloaded from a hub.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

import own_venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["lm_eval[api]==0.4.13"]

CHOICES = """
task: fathom_choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/choices.jsonl"}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
TEXTS = """
task: fathom_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/texts.jsonl"}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - {{metric: bits_per_byte, higher_is_better: false}}
"""
WRITTEN = """
task: fathom_written
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/choices.jsonl"}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 12, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""


def write_rows(folder):
    """Questions whose answers code begins with, which even a small model of code has an opinion of."""
    draw = random.Random(5)
    headers = sorted(pathlib.Path("/usr/include/c++/12").glob("[a-z]*"))
    texts = [path.read_text(errors="replace") for path in headers if path.is_file()][:12]
    with open(folder / "texts.jsonl", "w") as file:
        for text in texts:
            file.write(json.dumps({"text": text[:2500]}) + "\n")
    words = sorted({word for text in texts for word in text.split() if word.isidentifier() and len(word) > 3})
    with open(folder / "choices.jsonl", "w") as file:
        for number in range(20):
            choices = draw.sample(words, 4)
            row = {"question": f"what comes after {draw.choice(words)}?", "choices": choices,
                   "answer": draw.randrange(4)}
            file.write(json.dumps(row) + "\n")


def write_tasks(folder):
    for name, text in (("choices", CHOICES), ("texts", TEXTS), ("written", WRITTEN)):
        (folder / f"fathom_{name}.yaml").write_text(text.format(folder=folder))


def harness(folder, kind, url, tasks, *more):
    """What lm_eval says of each task: its results, and its samples."""
    output = folder / f"results-{kind}"
    arguments = f"model=model,base_url={url},num_concurrent=4,max_retries=1,max_length=2048"
    command = [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", arguments, "--tasks",
               *tasks, "--include_path", folder, "--output_path", output, "--log_samples", *more]
    environment = {**os.environ, "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"lm_eval failed:\n{process.stdout[-2000:]}\n{process.stderr[-4000:]}")
    (file,) = output.rglob("results_*.json")
    results = json.loads(file.read_text())["results"]
    samples = {task: [json.loads(line) for path in output.rglob(f"samples_{task}_*.jsonl") for line in path.open()]
               for task in tasks}
    return results, samples


class Scorer:
    """What `fathom` says of texts by itself."""

    def __init__(self, fathom, model):
        self.fathom, self.model = fathom, model

    def ids(self, text):
        command = [self.fathom, "tokenize", "encode", self.model]
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout.split()

    def logprob(self, ids, begin):
        """ln p of ids[begin:] behind those before."""
        command = [self.fathom, "score", self.model, "--tokens", "-", "--json", "--quiet"]
        scored = subprocess.run(command, input=" ".join(ids), check=True, capture_output=True, text=True).stdout
        return sum(json.loads(scored)["logprobs"][begin:])


def compare_choices(scorer, samples):
    """The largest difference of a choice's log-probability, and how many there were."""
    differences = []
    for sample in samples:
        for asked, ((theirs, _),) in zip(sample["arguments"].values(), sample["resps"]):
            question = scorer.ids(asked["arg_0"])
            whole = scorer.ids(asked["arg_0"] + asked["arg_1"])
            differences.append(abs(float(theirs) - scorer.logprob(whole, len(question))))
    return max(differences), len(differences)


def compare_texts(scorer, samples, end_token):
    differences = []
    for sample in samples:
        (asked,), ((theirs,),) = sample["arguments"].values(), sample["resps"]
        ids = scorer.ids(end_token) + scorer.ids(asked["arg_0"])
        differences.append(abs(float(theirs) - scorer.logprob(ids, 1)) / len(ids))
    return max(differences), len(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build/release/fathom")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/lm-eval-venv")
    arguments = parser.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    failed = False

    def check(holds, what):
        nonlocal failed
        failed |= not holds
        print(("ok      " if holds else "FAILED  ") + what)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_rows(folder)
        write_tasks(folder)
        server = subprocess.Popen([arguments.fathom, "serve", arguments.model, "--name", "model", "--port", "0", "--json",
                                   "--quiet"], stdout=subprocess.PIPE, text=True)
        try:
            url = json.loads(server.stdout.readline())["url"]
            plain, samples = harness(folder, "local-completions", url + "/completions",
                                     ["fathom_choices", "fathom_texts", "fathom_written"])
            chat, _ = harness(folder, "local-chat-completions", url + "/chat/completions", ["fathom_written"],
                              "--apply_chat_template")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        scorer = Scorer(arguments.fathom, arguments.model)
        end_token = json.loads((arguments.model / "tokenizer_config.json").read_text())["eos_token"]
        largest, count = compare_choices(scorer, samples["fathom_choices"])
        check(largest < 1e-3, f"{count} choices: log-probabilities differ by at most {largest:.1e}, accuracy "
                              f"{plain['fathom_choices']['acc,none']:.2f}")
        largest, count = compare_texts(scorer, samples["fathom_texts"], end_token)
        check(largest < 1e-5, f"{count} texts: log-probabilities differ by at most {largest:.1e} a token, "
                              f"{plain['fathom_texts']['bits_per_byte,none']:.4f} bits per byte")
        check("exact_match,none" in plain["fathom_written"], "answers are written")
        check("exact_match,none" in chat["fathom_written"], "answers are written in a chat")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
