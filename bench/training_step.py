#!/usr/bin/env python3
"""Training speed beside PyTorch and Hugging Face transformers, in one run.

  bench/training_step.py [--fathom build/release/fathom] [--preset small] [--rounds 3] [--recipe bf16 --recipe fp8]

Both train the same architecture from random weights (sequences of 512, 8192 tokens a step, without MTP) on the C++
library headers that come with the compiler: `fathom train`, and transformers' DeepSeek-V3 under bf16 autocast with
fused AdamW. For PyTorch every expert implementation, eager and torch.compile, and several micro-batches are tried
first; the fastest then takes turns with Fathom. Reported are the medians of tokens a second over all steps but the
first of each turn, and their ratio.

PyTorch comes from scripts/parity/requirements.txt, in the virtual environment of `make parity` (made if need be).
"""

import argparse
import itertools
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import peers

ROOT = peers.ROOT
CORPUS = "/usr/include/c++/12"
TOKENS, LENGTH, STEPS = 8192, 512, 4

RUN = """
output = "{output}"
steps = {steps}
batch_tokens = {tokens}
model = {{preset = "{preset}", mtp = false}}
precision.recipe = "{recipe}"
validation = {{every = 0, tokens = 1024, byte_baseline = false}}
optimizer.moments = "{moments}"
checkpoint.every = 0
[tokenizer]
train_bytes = 2000000
[data]
sequence_length = {length}
held_out_fraction = 0.001
[[data.source]]
path = "{corpus}"
extensions = ["", ".h", ".hpp", ".tcc"]
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build/release/fathom")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/parity-venv")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--recipe", action="append", help="bf16 if none is given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--variant", action="append", metavar="EXPERTS,eager|compile,ROWS",
                        help="try only this one of PyTorch's, such as grouped_mm,compile,8")
    parser.add_argument("--no-peer", action="store_true", help="recipes of Fathom beside each other only")
    return parser.parse_args()


def fathom_rates(arguments, recipe, directory):
    """Tokens a second of each step but the first."""
    output = directory / f"run-{recipe}-{time.monotonic_ns()}"
    text = RUN.format(output=output, steps=STEPS, tokens=TOKENS, preset=arguments.preset, recipe=recipe,
                      length=LENGTH, corpus=CORPUS, moments="f32" if recipe == "f32" else "bf16")
    config = directory / "run.toml"
    config.write_text(text)
    subprocess.run([arguments.fathom, "train", config, "--quiet", "--threads", str(arguments.threads)], check=True)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    return [step["tokens_per_second"] for step in steps[1:]], steps[-1]["mfu"]


class TorchPeer:
    def __init__(self, model_directory, experts, compiled, micro_rows):
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        torch.manual_seed(0)
        self.torch = torch
        config = AutoConfig.from_pretrained(model_directory)
        self.vocabulary = config.vocab_size
        self.model = AutoModelForCausalLM.from_config(config, experts_implementation=experts, dtype=torch.float32)
        self.model.train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1,
                                           fused=True)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.micro_rows = micro_rows

    def step(self):
        torch = self.torch
        ids = torch.randint(self.vocabulary, (TOKENS // LENGTH, LENGTH))
        begin = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        for rows in ids.split(self.micro_rows):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = self.forward(input_ids=rows, labels=rows, use_cache=False).loss
            (loss * len(rows) / len(ids)).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return TOKENS / (time.perf_counter() - begin)


def best_peer(model_directory, variants):
    """The fastest of all variants, or of those named; what does not run is named too."""
    import torch

    best, best_rate, best_name = None, 0.0, "none"
    for experts, compiled in itertools.product(["eager", "batched_mm", "grouped_mm"], [False, True]):
        # batched_mm copies its weights for every token: more rows than this do not fit into memory.
        for micro_rows in [1] if experts == "batched_mm" else [1, 2, 4, 8, 16]:
            if variants and f"{experts},{'compile' if compiled else 'eager'},{micro_rows}" not in variants:
                continue
            name = f"{experts}, {'torch.compile' if compiled else 'eager'}, {micro_rows} rows at once"
            try:
                peer = TorchPeer(model_directory, experts, compiled, micro_rows)
                peer.step()
                rate = max(peer.step() for _ in range(2))
            except Exception as error:  # A variant that does not run is no peer.
                print(f"  {name}: {type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}")
                torch.compiler.reset()
                break
            print(f"  {name}: {rate:.0f} tokens/s", flush=True)
            if rate > best_rate:
                best, best_rate, best_name = peer, rate, name
            else:
                del peer
            # Larger micro-batches only while they help.
            if rate < 0.8 * best_rate:
                break
    print(f"fastest: {best_name}")
    return best


def main():
    arguments = parse_arguments()
    recipes = arguments.recipe or ["bf16"]
    if not arguments.no_peer:
        peers.enter_venv(arguments.venv, "scripts/parity/requirements.txt")
        import torch
        import transformers

        torch.set_num_threads(arguments.threads)
        print(f"torch {torch.__version__}, transformers {transformers.__version__}", end="; ")
    print(f"{peers.processor()}, {arguments.threads} threads; {arguments.preset}, {TOKENS} tokens a step")
    rates = {recipe: [] for recipe in recipes}
    utilisation = {recipe: [] for recipe in recipes}
    peer_rates = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        peer = None
        if not arguments.no_peer:
            # The same architecture as a directory that transformers reads.
            config = directory / "model"
            subprocess.run([arguments.fathom, "init", arguments.preset, config, "--quiet", "--seed", "1"], check=True)
            fields = json.loads((config / "config.json").read_text())
            fields["num_nextn_predict_layers"] = 0
            (config / "config.json").write_text(json.dumps(fields))
            peer = best_peer(config, arguments.variant)
        for _ in range(arguments.rounds):
            for recipe in recipes:
                measured, mfu = fathom_rates(arguments, recipe, directory)
                rates[recipe] += measured
                utilisation[recipe].append(mfu)
            if peer is not None:
                peer_rates += [peer.step() for _ in range(STEPS)][1:]
    first = statistics.median(rates[recipes[0]])
    for recipe in recipes:
        rate = statistics.median(rates[recipe])
        line = f"fathom {recipe:5} {rate:8.0f} tokens/s, {statistics.median(utilisation[recipe]):.1%} MFU"
        if recipe != recipes[0]:
            line += f", {rate / first:.2f} of {recipes[0]}"
        if peer_rates:
            line += f", {rate / statistics.median(peer_rates):.2f} x PyTorch"
        print(line)
    if peer_rates:
        print(f"PyTorch      {statistics.median(peer_rates):8.0f} tokens/s")


if __name__ == "__main__":
    main()
