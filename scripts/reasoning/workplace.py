"""Runs of the program, each in a directory of its own under runs/reasoning: what is done is not done again, and what was
stopped goes on."""

import json
import pathlib
import statistics
import subprocess
import sys

TABLES = {"train": "model", "sft": "model", "rl": "model", "distill": "student/model"}


class Workplace:
    def __init__(self, root, fathom, threads, headers):
        self.fathom, self.threads, self.headers = pathlib.Path(fathom).resolve(), str(threads), headers
        self.here, self.directory = root / "scripts/reasoning", root / "runs/reasoning"
        self.data, self.shared = self.directory / "data", root.parent / "shared/data"
        self.directory.mkdir(parents=True, exist_ok=True)

    def call(self, *words):
        command = [self.fathom, *words, "--threads", self.threads, "--quiet"]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 130):  # 130: stopped by Ctrl-C, with a checkpoint
            sys.exit(f"this failed: {' '.join(str(word) for word in command)}")
        return done.stdout

    def run(self, kind, config, name, settings):
        """A run of `fathom KIND`; the model that it made."""
        output = self.directory / name
        model = output / TABLES[kind]
        if not model.exists():
            print(f"{name}: fathom {kind}", file=sys.stderr)
            words = [kind, self.here / config]
            begun = (output / "checkpoints").exists() or (output / "traces.jsonl").exists()
            words += ["--resume"] if begun else []
            for setting in (f"output={output}", *settings):
                words += ["--set", setting]
            self.call(*words)
        if not model.exists():
            sys.exit(f"{name} was stopped; the same command goes on with it")
        return model

    def log(self, name):
        return [json.loads(line) for line in (self.directory / name / "log.jsonl").read_text().splitlines()]

    def measure(self, model, name, options, against=None, task=None):
        """The result of `fathom eval` on the held-out problems."""
        out = self.directory / "answers" / f"{name}.jsonl"
        out.parent.mkdir(exist_ok=True)
        words = ["eval", model, "--task", task or self.data / "held-out.jsonl", "--out", out, "--json", *options]
        if against is not None:
            words += ["--against", against]
        result = json.loads(self.call(*words))
        keep = {key: result["result"][key] for key in ("accuracy", "pass_at", "majority", "mean_tokens",
                                                        "mean_thinking_tokens", "cut_off", "no_answer")
                if key in result["result"]}
        if against is not None:
            keep["gain"] = result["comparison"]
        return keep

    # Operations by counting: 2 for every parameter that a token uses where it is read or written, 6 where it is learnt.

    def parameters(self, model):
        """Used by a token, the embedding left out."""
        return json.loads(self.call("inspect", model, "--json"))["parameters"]["active"]

    def prompt_tokens(self, model, tasks):
        lengths = []
        for line in tasks.read_text().splitlines()[:100]:
            messages = [{"role": "user", "content": json.loads(line)["question"]}]
            done = subprocess.run([self.fathom, "tokenize", "chat", model], input=json.dumps(messages), text=True,
                                  stdout=subprocess.PIPE, check=True)
            lengths.append(len(done.stdout.split()))
        return statistics.fmean(lengths)

    def trace_flops(self, name, teacher, student, tasks, epochs=2):
        """(tokens of a trace, its operations): written by the model of the run `name`, and learnt by a student."""
        written = [line["answer_tokens"] for line in self.log(name) if line["kind"] == "step"][-1]
        tokens = self.prompt_tokens(teacher, tasks) + written
        return written, tokens * (2 * self.parameters(teacher) + epochs * 6 * self.parameters(student))

    def first(self, file, count):
        """A file of the first rows of another."""
        part = file.with_name(f"{file.stem}-{count}{file.suffix}")
        part.write_text("".join(line + "\n" for line in file.read_text().splitlines()[:count]))
        return part

    def rl_flops(self, name, model, tasks, group=8, problems=16):
        """Of a run of reinforcement learning: all answers written, prompts read once a group, those of full steps learnt."""
        prompt, flops, before = self.prompt_tokens(model, tasks), 0.0, 0
        for line in self.log(name):
            if line["kind"] != "step":
                continue
            written = line["tokens"] - before
            before = line["tokens"]
            answers = written / line["answer_tokens"]
            flops += 2 * (written + prompt * answers / group)
            flops += 6 * min(answers, group * problems) * (prompt + line["answer_tokens"])
        return flops * self.parameters(model)
