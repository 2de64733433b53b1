#!/usr/bin/env python3
"""Converts a model with `fathom convert` and lets Hugging Face transformers compute with what comes out.

  build/parity-venv/bin/python scripts/parity/converted_model.py [MODEL_DIRECTORY] [--fathom build/release/fathom]

Without a directory, or where it is not there, a small model is initialised. To bf16, to f16, and to FP8 and back to f32: both
compute in float32 from the same weights, and no token's log-prob may differ by more than 1e-3. The FP8 directory itself is
read back here with torch's float8 type: its values have to be those of the f32 one, bit for bit.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

TOKENS = 64
BLOCK = 128


def run(fathom, *arguments):
    command = [fathom, *map(str, arguments), "--quiet"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def largest_difference(fathom, directory, ids_file):
    scored = json.loads(run(fathom, "score", directory, "--tokens", ids_file, "--dtype", "f32", "--json"))
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor([scored["tokens"]])).logits[0].double()
    logprobs = torch.log_softmax(logits, -1)
    return max(
        abs(float(logprobs[i - 1, token]) - scored["logprobs"][i])
        for i, token in enumerate(scored["tokens"])
        if i > 0
    )


def dequantised(directory):
    """-> name -> f32 of the FP8 tensors, as the format is defined."""
    files = safetensors.torch.load_file(directory / "model.safetensors")
    result = {}
    for name, codes in files.items():
        if codes.dtype != torch.float8_e4m3fn:
            continue
        scales = files[name + "_scale_inv"].repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        result[name] = codes.to(torch.float32) * scales[: codes.shape[0], : codes.shape[1]]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=pathlib.Path)
    parser.add_argument("--fathom", default="build/release/fathom")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(temporary)
        source = arguments.directory
        if source is None or not source.exists():
            source = place / "initialised"
            run(arguments.fathom, "init", "nano", source, "--layers", 3, "--vocab-size", 600, "--seed", 1)
        vocabulary = json.loads((source / "config.json").read_text())["vocab_size"]
        ids = torch.randint(2, vocabulary, (TOKENS,), generator=torch.Generator().manual_seed(1)).tolist()
        (place / "ids").write_text(" ".join(map(str, ids)))
        for name, start, dtype in [("bf16", source, "bf16"), ("f16", source, "f16"), ("fp8", source, "fp8"),
                                   ("fp8-f32", place / "fp8", "f32")]:
            run(arguments.fathom, "convert", start, place / name, "--dtype", dtype)
        failed = False
        for name in ["bf16", "f16", "fp8-f32"]:
            worst = largest_difference(arguments.fathom, place / name, place / "ids")
            print(f"{name}: {TOKENS - 1} log-probs, largest difference {worst:.2e}")
            failed = failed or worst > 1e-3
        back = safetensors.torch.load_file(place / "fp8-f32" / "model.safetensors")
        fp8 = dequantised(place / "fp8")
        same = all(torch.equal(back[name], weight) for name, weight in fp8.items())
        print(f"fp8: {len(fp8)} tensors, {'the same bits as torch' if same and fp8 else 'OTHER VALUES THAN TORCH'}")
        if failed or not same or not fp8:
            sys.exit(1)


if __name__ == "__main__":
    main()
