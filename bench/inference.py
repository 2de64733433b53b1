#!/usr/bin/env python3
"""Fathom's inference beside llama.cpp's and ik_llama.cpp's, on the same GGUF files, in turns.

  bench/inference.py [--fathom build/release/fathom] [--llama-cpp DIRECTORY] [--ik-llama-cpp DIRECTORY]
                     [--models lite8,tiny8] [--types bf16,q8_0,q4_k] [--threads 2,1] [--rounds 3] [--work DIRECTORY]

Makes each preset with random weights (`fathom init`), converts it (`fathom convert`), and then measures, for every
number of threads, in rounds in which all programs take turns: the prefill of 512 tokens and decoding one sequence, at
depth 0 and behind 4096 tokens, and 16 sequences at a time. Printed are medians over the rounds, Fathom's speed over each
peer's, and at the end what is asked of each, the figure, and whether it is met.

The directories hold llama-bench and llama-batched-bench, built for this machine (Release, GGML_NATIVE=ON); without one,
that peer is left out. ik_llama.cpp gets what makes it fastest on these models: -mla 3 -fa 1 -fmoe 1 -rtr 1. Its
llama-bench cannot time a prompt behind another one. A peer that cannot load a model is said so once and left out there:
ik_llama.cpp of 2026 takes latents of 512 + 64 only, and queries without a low rank only in models of 26 or 27 layers.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys


@dataclasses.dataclass(frozen=True)
class Test:
    prompt: int = 0
    generate: int = 0
    depth: int = 0
    batch: int = 1


TESTS = {
    "prefill": Test(prompt=512),
    "decode": Test(generate=64),
    "prefill@4096": Test(prompt=512, depth=4096),
    "decode@4096": Test(generate=32, depth=4096),
    "batch": Test(generate=32, batch=16),
}


@dataclasses.dataclass(frozen=True)
class Bar:
    """At least `least` times what Fathom is compared with: a peer, the better peer, or a share of the machine's."""

    model: str
    kind: str
    threads: int
    test: str
    of: str
    least: float


def bars():
    yield Bar("lite8", "q8_0", 2, "prefill", "ik_llama.cpp", 1.2)
    yield Bar("lite8", "bf16", 2, "prefill", "peak", 0.65)
    for model in ("lite8", "tiny8"):
        for kind, least in (("q8_0", (1.3, 1.15)), ("q4_k", (1.3, 1.15)), ("bf16", (1.05, 1.05))):
            for threads in (2, 1):
                yield Bar(model, kind, threads, "decode", "better peer", least[2 - threads])
                yield Bar(model, kind, threads, "decode", "bandwidth", 0.85)
        for kind in ("bf16", "q8_0", "q4_k"):
            of, least = ("better peer", 1.4) if model == "lite8" else ("llama.cpp", 3)
            yield Bar(model, kind, 2, "decode@4096", of, least)
            yield Bar(model, kind, 2, "prefill@4096", "llama.cpp", 2)
    yield Bar("lite8", "q8_0", 2, "batch", "llama.cpp", 2.5)


ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--fathom", type=pathlib.Path, default=pathlib.Path("build/release/fathom"))
ARGUMENTS.add_argument("--llama-cpp", type=pathlib.Path)
ARGUMENTS.add_argument("--ik-llama-cpp", type=pathlib.Path)
ARGUMENTS.add_argument("--models", default="lite8,tiny8")
ARGUMENTS.add_argument("--types", default="bf16,q8_0,q4_k")
ARGUMENTS.add_argument("--threads", default="2,1")
ARGUMENTS.add_argument("--tests", default=",".join(TESTS))
ARGUMENTS.add_argument("--rounds", type=int, default=3)
ARGUMENTS.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/inference-bench"))
ARGUMENTS.add_argument("--json", type=pathlib.Path, help="write every single figure there")


class ProgramFailed(Exception):
    pass


def output_of(command):
    """Standard output of a program; ProgramFailed with its errors when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramFailed(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


class Fathom:
    name = "Fathom"

    def __init__(self, program):
        self.program = program

    def measure(self, model, threads, test):
        """Tokens a second, and shares of the read bandwidth and of the peak."""
        result = json.loads(
            output_of([self.program, "bench", model, "--prompt", test.prompt, "--generate", test.generate, "--depth",
                       test.depth, "--batch", test.batch, "--repeat", 1, "--threads", threads, "--draft-tokens", 0,
                       "--quiet", "--json"]))
        line = result["results"][0]
        return line["tokens_per_second"], (line["share_of_bandwidth"], line["share_of_peak"])


class Peer:
    """llama-bench and llama-batched-bench of llama.cpp or its fork."""

    def __init__(self, name, directory, options, batched_options):
        self.name = name
        self.directory = directory
        self.options = options
        self.batched_options = batched_options
        self.refused = set()  # (model, whether batched): of two programs

    def measure(self, model, threads, test):
        """Tokens a second, or None where the program cannot measure that."""
        if (model, test.batch > 1) in self.refused:
            return None, None
        try:
            return self.speed(model, threads, test), None
        except ProgramFailed as failure:
            self.refused.add((model, test.batch > 1))
            print(f"{self.name} is left out for {model}{' (batched)' * (test.batch > 1)}: {failure}", file=sys.stderr)
            return None, None

    def speed(self, model, threads, test):
        if test.batch > 1:
            lines = output_of([self.directory / "llama-batched-bench", "-m", model, "-c", 2048, "-b", 512, "-ub", 512,
                               "-t", threads, "-npp", 16, "-ntg", test.generate, "-npl", test.batch,
                               *self.batched_options])
            return batched_speed(lines)
        depth = self.depth_options(test)
        if depth is None:
            return None
        runs = json.loads(
            output_of([self.directory / "llama-bench", "-m", model, "-t", threads, "-r", 1, "-o", "json", *depth,
                       *self.options]))
        return runs[0]["avg_ts"]

    def depth_options(self, test):
        return ["-p", test.prompt, "-n", test.generate, "-d", test.depth]


class IkPeer(Peer):

    def depth_options(self, test):
        if test.depth == 0:
            return ["-p", test.prompt, "-n", test.generate]
        return ["-p", 0, "-n", 0, "-gp", f"{test.depth},{test.generate}"] if test.generate > 0 else None


def batched_speed(text):
    """S_TG, tokens a second over all sequences, of llama-batched-bench's table."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    header = next((row for row in rows if any(cell.startswith("S_TG") for cell in row)), [])
    column = next((i for i, cell in enumerate(header) if cell.startswith("S_TG")), None)
    if column is None or rows[-1][column].startswith("-"):
        raise ProgramFailed(f"llama-batched-bench printed no speed:\n{text[-2000:]}")
    return float(rows[-1][column])


def make_models(arguments):
    """{(model, type): path}"""
    arguments.work.mkdir(parents=True, exist_ok=True)
    made = {}
    for model in arguments.models.split(","):
        source = arguments.work / model
        if not source.exists():
            subprocess.run([arguments.fathom, "init", model, source, "--seed", "1"], check=True)
        for kind in arguments.types.split(","):
            path = arguments.work / f"{model}-{kind}.gguf"
            if not path.exists():
                subprocess.run([arguments.fathom, "convert", source, path, "--dtype", kind], check=True)
            made[model, kind] = path
    return made


def median(values):
    return statistics.median(values) if values else None


class Figures:
    """What was measured: {(model, type, threads, test): {program: [tokens a second]}}, and Fathom's shares."""

    def __init__(self):
        self.speeds = {}
        self.shares = {}

    def add(self, case, program, speed, shares):
        if speed is not None:
            self.speeds.setdefault(case, {}).setdefault(program, []).append(speed)
        if shares is not None:
            self.shares.setdefault(case, []).append(shares)

    def speed(self, case, program):
        return median(self.speeds.get(case, {}).get(program))

    def share(self, case, of):
        return median([shares[of == "peak"] for shares in self.shares.get(case, [])])

    def over(self, case, of):
        """Fathom's speed over that; None where one of them was not measured."""
        if of in ("peak", "bandwidth"):
            return self.share(case, of)
        fathom = self.speed(case, Fathom.name)
        peers = {name for name in self.speeds.get(case, {}) if name != Fathom.name}
        if of != "better peer":
            peers &= {of}
        if fathom is None or not peers:
            return None
        return fathom / max(self.speed(case, name) for name in peers)

    def to_json(self):
        return [{"model": model, "type": kind, "threads": threads, "test": test, "tokens_per_second": speeds,
                 "shares": self.shares.get((model, kind, threads, test), [])}
                for (model, kind, threads, test), speeds in self.speeds.items()]


def print_bars(figures):
    print(f"\n{'model':<12} {'threads':>7} {'test':<13} {'of':<13} {'at least':>8} {'measured':>9}")
    for bar in bars():
        measured = figures.over((bar.model, bar.kind, bar.threads, bar.test), bar.of)
        if measured is None:
            continue
        print(f"{bar.model + ' ' + bar.kind:<12} {bar.threads:>7} {bar.test:<13} {bar.of:<13} {bar.least:>8.2f} "
              f"{measured:>9.2f}  {'met' if measured >= bar.least else 'NOT MET'}")


def main():
    arguments = ARGUMENTS.parse_args()
    programs = [Fathom(arguments.fathom)]
    if arguments.llama_cpp:
        programs.append(Peer("llama.cpp", arguments.llama_cpp, [], []))
    if arguments.ik_llama_cpp:
        fast = ["-mla", "3", "-fa", "1", "-rtr", "1", "-fmoe", "1"]
        programs.append(IkPeer("ik_llama.cpp", arguments.ik_llama_cpp, fast, ["-mla", "3", "-fa", "on", "-rtr"]))
    figures = Figures()
    print(f"{'model':<12} {'threads':>7} {'test':<13}" + "".join(f" {program.name:>13}" for program in programs) +
          "   ratios, of bandwidth, of peak")
    for (model, kind), path in make_models(arguments).items():
        for threads in map(int, arguments.threads.split(",")):
            for test in arguments.tests.split(","):
                case = (model, kind, threads, test)
                for _ in range(arguments.rounds):
                    for program in programs:
                        figures.add(case, program.name, *program.measure(path, threads, TESTS[test]))
                speeds = [figures.speed(case, program.name) for program in programs]
                print(f"{model + ' ' + kind:<12} {threads:>7} {test:<13}" +
                      "".join(f" {speed:>13.1f}" if speed else f" {'-':>13}" for speed in speeds) + "  " +
                      "".join(f" {speeds[0] / speed:5.2f}" if speed else "     -" for speed in speeds[1:]) +
                      f"  {figures.share(case, 'bandwidth'):4.0%} {figures.share(case, 'peak'):4.0%}", flush=True)
    print_bars(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except ProgramFailed as failed:
        sys.exit(str(failed))
