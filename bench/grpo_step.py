#!/usr/bin/env python3
"""A whole step of GRPO beside TRL's GRPOTrainer, in one run.

  bench/grpo_step.py [--fathom build/release/fathom] [--preset nano] [--rounds 3]

Both begin with the same model (trained for a few steps, so that its answers do not end by themselves), ask the same 8
problems a step through the same chat template, write 8 answers of 256 tokens to each at temperature 1, reward them, and
move the policy once, in bf16, without a reference model. For TRL every expert implementation of transformers and several
micro-batches are tried first; the fastest then takes turns with Fathom. Reported are the medians of seconds a step over
all steps but the first of each turn, their ratio, and how far Fathom's step is from its own parts: the answers' tokens at
the rate of `fathom bench` at the same batch, and the rows' tokens at the rate of `fathom train`.

TRL comes from bench/grpo_requirements.txt, in a virtual environment of its own beside that of `make parity` (made if
need be).
"""

import argparse
import contextlib
import json
import math
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import peers

ROOT = peers.ROOT
CORPUS = "/usr/include/c++/12"
PROBLEMS, GROUP, ANSWER, STEPS = 8, 8, 256, 4
# Log-probs of rollouts and trainer equal bit for bit, and not.
ATTENTION = {"absorbed": "exact", "expanded": "fast"}

TRAIN = """
output = "{output}"
steps = {steps}
schedule.warmup_steps = 0
batch_tokens = 10240
model = {{preset = "{preset}", mtp = false}}
validation = {{every = 0, tokens = 1024, byte_baseline = false}}
checkpoint.every = 0
[tokenizer]
train_bytes = 2000000
[data]
sequence_length = 320
held_out_fraction = 0.001
[[data.source]]
path = "{corpus}"
extensions = ["", ".h", ".hpp", ".tcc"]
"""

# What is rewarded does not matter, as long as the answers of a group differ in it: the share of different characters.
REWARD = """
import json, sys
for line in sys.stdin:
    text = json.loads(line)["completion"]
    print(json.dumps({"reward": len(set(text)) / max(1, len(text))}), flush=True)
"""

GRPO = """
output = "{output}"
steps = {steps}
schedule.warmup_steps = 0
model.init_from = "{model}"
data = {{held_out_fraction = 0, source = [{{path = "{problems}"}}]}}
rollout = {{problems = {count}, answers = {group}, max_tokens = {answer}, refills = 0}}
policy.kl = 0
reward = {{accuracy = 0, verifier = "{python} {reward}"}}
optimizer.lr = 1e-5
precision.attention = "{attention}"
checkpoint.every = 0
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build/release/fathom")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/trl-venv")
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variant", action="append", metavar="EXPERTS,ROWS",
                        help="try only this one of TRL's, such as grouped_mm,64")
    parser.add_argument("--no-peer", action="store_true", help="Fathom alone")
    return parser.parse_args()


def log_of(output):
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


class Fathom:
    def __init__(self, arguments, directory):
        self.arguments, self.directory = arguments, directory
        self.problems = directory / "problems.jsonl"
        self.run("problems", "arithmetic", "--count", "64", "--out", self.problems)
        self.reward = directory / "reward.py"
        self.reward.write_text(REWARD)
        self.model = self.train(5) / "model"

    def run(self, *words):
        command = [self.arguments.fathom, *words, "--quiet"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def configured(self, kind, text, **values):
        output = self.directory / f"{kind}-{time.monotonic_ns()}"
        config = self.directory / f"{kind}.toml"
        config.write_text(text.format(output=output, **values))
        self.run(kind, config, "--threads", str(self.arguments.threads))
        return output

    def train(self, steps):
        return self.configured("train", TRAIN, steps=steps, preset=self.arguments.preset, corpus=CORPUS)

    def steps(self, attention):
        output = self.configured("rl", GRPO, steps=STEPS, model=self.model, problems=self.problems, count=PROBLEMS,
                                 group=GROUP, answer=ANSWER, attention=attention, python=sys.executable,
                                 reward=self.reward)
        return [line for line in log_of(output) if line["kind"] == "step"][1:]

    def prompt_tokens(self):
        """Of a problem, on average."""
        lengths = []
        for line in self.problems.read_text().splitlines():
            messages = json.dumps([{"role": "user", "content": json.loads(line)["question"]}])
            done = subprocess.run([self.arguments.fathom, "tokenize", "chat", self.model], input=messages, text=True,
                                  stdout=subprocess.PIPE, check=True)
            lengths.append(len(done.stdout.split()))
        return statistics.mean(lengths)

    def training_rate(self):
        """Tokens a second of `fathom train`, rows of 320."""
        steps = [line for line in log_of(self.train(STEPS)) if line["kind"] == "step"]
        return statistics.median(step["tokens_per_second"] for step in steps[1:])

    def decoding_rate(self):
        """Tokens a second of all sequences together, as many as a step has, behind a prompt of 64."""
        text = self.run("bench", self.model, "--prompt", "64", "--generate", str(ANSWER), "--batch",
                        str(PROBLEMS * GROUP), "--threads", str(self.arguments.threads), "--json")
        results = json.loads(text)["results"]
        return next(result["tokens_per_second"] for result in results if result["test"] == "decode")


class Trl:
    """One run after another of GRPOTrainer; seconds of its steps."""

    def __init__(self, fathom, experts, rows):
        self.fathom, self.experts, self.rows = fathom, experts, rows

    def steps(self):
        import datasets
        import torch
        import transformers
        import trl

        tokenizer = transformers.AutoTokenizer.from_pretrained(self.fathom.model)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            self.fathom.model, experts_implementation=self.experts, dtype=torch.float32)
        questions = [json.loads(line)["question"] for line in self.fathom.problems.read_text().splitlines()]
        prompts = datasets.Dataset.from_list([{"prompt": [{"role": "user", "content": text}]} for text in questions])
        ends, lengths = [], []

        class Clock(transformers.TrainerCallback):
            def on_step_end(self, *_, **__):
                ends.append(time.perf_counter())

        def reward(completion_ids, **_):
            lengths.extend(len(ids) for ids in completion_ids)
            return [len(set(ids)) / max(1, len(ids)) for ids in completion_ids]

        config = trl.GRPOConfig(
            output_dir=str(self.fathom.directory / "trl"), max_steps=STEPS, learning_rate=1e-5, use_cpu=True, bf16=True,
            per_device_train_batch_size=self.rows, gradient_accumulation_steps=PROBLEMS * GROUP // self.rows,
            num_generations=GROUP, max_completion_length=ANSWER, temperature=1.0, beta=0.0, num_iterations=1,
            gradient_checkpointing=False, save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no")
        trainer = trl.GRPOTrainer(model=model, processing_class=tokenizer, reward_funcs=reward, args=config,
                                  train_dataset=prompts, callbacks=[Clock()])
        trainer.train()
        tokens = statistics.mean(lengths)
        return [(end - begin, tokens) for begin, end in zip(ends, ends[1:])]


@contextlib.contextmanager
def at_most(seconds):
    """TimeoutError where what is in it takes longer."""
    def stop(*_):
        raise TimeoutError(f"given up after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(math.ceil(seconds) if math.isfinite(seconds) else 0)
    try:
        yield
    finally:
        signal.alarm(0)


def best_peer(fathom, variants):
    best, best_seconds, best_name = None, float("inf"), "none"
    for experts in ["grouped_mm", "eager", "batched_mm"]:
        for rows in [8, 16, 32, 64]:
            if variants and f"{experts},{rows}" not in variants:
                continue
            name = f"{experts}, {rows} rows at once"
            try:
                peer = Trl(fathom, experts, rows)
                with at_most(3 * STEPS * best_seconds):
                    seconds = min(seconds for seconds, _ in peer.steps())
            except Exception as error:  # A variant that does not run is no peer.
                print(f"  {name}: {type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}")
                break
            print(f"  {name}: {seconds:.2f} s", flush=True)
            if seconds < best_seconds:
                best, best_seconds, best_name = peer, seconds, name
            # Larger micro-batches only while they help.
            if seconds > 1.25 * best_seconds:
                break
    print(f"fastest: {best_name}")
    return best


def main():
    arguments = parse_arguments()
    if not arguments.no_peer:
        peers.enter_venv(arguments.venv, "scripts/parity/requirements.txt", "bench/grpo_requirements.txt")
        import torch
        import transformers
        import trl

        torch.set_num_threads(arguments.threads)
        print(f"torch {torch.__version__}, transformers {transformers.__version__}, trl {trl.__version__}", end="; ")
    print(f"{peers.processor()}, {arguments.threads} threads; {arguments.preset}, {PROBLEMS} x {GROUP} answers of {ANSWER} "
          "tokens at most")
    with tempfile.TemporaryDirectory() as temporary:
        fathom = Fathom(arguments, pathlib.Path(temporary))
        prompt = fathom.prompt_tokens()
        peer = None if arguments.no_peer else best_peer(fathom, arguments.variant)
        steps = {attention: [] for attention in ATTENTION}
        decoding, training, peer_steps = [], [], []
        for _ in range(arguments.rounds):
            decoding.append(fathom.decoding_rate())
            training.append(fathom.training_rate())
            for attention in ATTENTION:
                steps[attention] += fathom.steps(attention)
            if peer is not None:
                peer_steps += peer.steps()
    peer_seconds = None
    if peer_steps:
        peer_seconds = statistics.median(seconds for seconds, _ in peer_steps)
        print(f"TRL          {peer_seconds:7.2f} s a step, {statistics.mean(tokens for _, tokens in peer_steps):.0f} "
              "tokens an answer")
    for attention, of in ATTENTION.items():
        seconds = statistics.median(step["seconds"] for step in steps[attention])
        rollout = statistics.median(step["rollout_seconds"] for step in steps[attention])
        length = statistics.mean(step["answer_tokens"] for step in steps[attention])
        tokens = length * PROBLEMS * GROUP
        rows = tokens + prompt * PROBLEMS * GROUP
        floor = tokens / statistics.median(decoding) + rows / statistics.median(training)
        line = (f"fathom {of:6}{seconds:7.2f} s a step ({rollout:.2f} of them rollouts), {length:.0f} tokens an answer; "
                f"{floor / seconds:.0%} of its parts' speed")
        if peer_seconds:
            line += f", {peer_seconds / seconds:.2f} x TRL"
        print(line)
    print(f"its parts: {statistics.median(decoding):.0f} tokens/s written by {PROBLEMS * GROUP} sequences, "
          f"{statistics.median(training):.0f} tokens/s trained on")


if __name__ == "__main__":
    main()
