#!/usr/bin/env python3
"""Fathom's inference beside llama.cpp's and ik_llama.cpp's, on the same GGUF files, in turns.

  bench/inference.py [--fathom build/release/fathom] [--llama-cpp DIRECTORY] [--ik-llama-cpp DIRECTORY]
                     [--models lite8,tiny8] [--types bf16,q8_0,q4_k] [--threads 2,1] [--rounds 3] [--work DIRECTORY]

Makes each preset with random weights (`fathom init`), converts it (`fathom convert`), and then measures, for every
number of threads, in rounds in which all programs take turns: the prefill of 512 tokens, decoding one sequence at
depth 0, and 16 sequences at a time. Printed are medians over the rounds, and Fathom's speed over each peer's.

The directories hold llama-bench and llama-batched-bench, built for this machine (Release, GGML_NATIVE=ON); without one,
that peer is left out. ik_llama.cpp gets what makes it fastest on these models: -mla 3 -fa 1 -fmoe 1 -rtr 1.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

PROMPT = 512
GENERATE = 64
BATCH = 16
BATCH_GENERATE = 32

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--fathom", type=pathlib.Path, default=pathlib.Path("build/release/fathom"))
ARGUMENTS.add_argument("--llama-cpp", type=pathlib.Path)
ARGUMENTS.add_argument("--ik-llama-cpp", type=pathlib.Path)
ARGUMENTS.add_argument("--models", default="lite8,tiny8")
ARGUMENTS.add_argument("--types", default="bf16,q8_0,q4_k")
ARGUMENTS.add_argument("--threads", default="2,1")
ARGUMENTS.add_argument("--tests", default="prefill,decode,batch")
ARGUMENTS.add_argument("--rounds", type=int, default=3)
ARGUMENTS.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/inference-bench"))
ARGUMENTS.add_argument("--json", type=pathlib.Path, help="write every single figure there")


def output_of(command):
    """Standard output of a program; its errors are shown when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


class Fathom:
    name = "Fathom"

    def __init__(self, program):
        self.program = program

    def measure(self, model, threads, test):
        prompt, generate, batch = {
            "prefill": (PROMPT, 0, 1),
            "decode": (0, GENERATE, 1),
            "batch": (0, BATCH_GENERATE, BATCH),
        }[test]
        result = json.loads(
            output_of([self.program, "bench", model, "--prompt", prompt, "--generate", generate, "--depth", 0,
                       "--batch", batch, "--repeat", 1, "--threads", threads, "--quiet", "--json"]))
        line = result["results"][0]
        return line["tokens_per_second"], line


class Peer:
    """llama-bench and llama-batched-bench of llama.cpp or its fork."""

    def __init__(self, name, directory, options, batched_options):
        self.name = name
        self.directory = directory
        self.options = options
        self.batched_options = batched_options

    def measure(self, model, threads, test):
        if test == "batch":
            lines = output_of([self.directory / "llama-batched-bench", "-m", model, "-c", 2048, "-b", 512, "-ub", 512,
                               "-t", threads, "-npp", 16, "-ntg", BATCH_GENERATE, "-npl", BATCH,
                               *self.batched_options])
            return batched_speed(lines), {}
        prompt, generate = (PROMPT, 0) if test == "prefill" else (0, GENERATE)
        runs = json.loads(
            output_of([self.directory / "llama-bench", "-m", model, "-p", prompt, "-n", generate, "-t", threads,
                       "-r", 1, "-o", "json", *self.options]))
        return runs[0]["avg_ts"], {}


def batched_speed(text):
    """S_TG, tokens a second over all sequences, of llama-batched-bench's table."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    header = next(row for row in rows if any(cell.startswith("S_TG") for cell in row))
    column = next(i for i, cell in enumerate(header) if cell.startswith("S_TG"))
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


def main():
    arguments = ARGUMENTS.parse_args()
    programs = [Fathom(arguments.fathom)]
    if arguments.llama_cpp:
        programs.append(Peer("llama.cpp", arguments.llama_cpp, [], []))
    if arguments.ik_llama_cpp:
        fast = ["-mla", "3", "-fa", "1", "-rtr", "1", "-fmoe", "1"]
        programs.append(
            Peer("ik_llama.cpp", arguments.ik_llama_cpp, fast, ["-mla", "3", "-fa", "on", "-rtr"]))
    figures = []
    print(f"{'model':<14} {'test':<8} {'threads':>7}" +
          "".join(f" {program.name:>14}" for program in programs) + "   ratios, of bandwidth, of peak")
    for (model, kind), path in make_models(arguments).items():
        for threads in map(int, arguments.threads.split(",")):
            for test in arguments.tests.split(","):
                speeds = {program.name: [] for program in programs}
                shares = []
                for _ in range(arguments.rounds):
                    for program in programs:
                        speed, details = program.measure(path, threads, test)
                        speeds[program.name].append(speed)
                        if details:
                            shares.append((details["share_of_bandwidth"], details["share_of_peak"]))
                medians = {name: statistics.median(values) for name, values in speeds.items()}
                ratios = "".join(f" {medians['Fathom'] / medians[program.name]:5.2f}" for program in programs[1:])
                bandwidth, peak = (statistics.median(column) for column in zip(*shares))
                print(f"{model + ' ' + kind:<14} {test:<8} {threads:>7}" +
                      "".join(f" {medians[program.name]:>14.1f}" for program in programs) +
                      f"  {ratios}  {bandwidth:4.0%} {peak:4.0%}", flush=True)
                figures.append({"model": model, "type": kind, "threads": threads, "test": test,
                                "tokens_per_second": speeds, "shares": shares})
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
