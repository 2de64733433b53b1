"""Outlier features, put into a trained model without changing its function.

A few channels of every layer's norms are multiplied by a power of two, and the weights that read them divided by it. In
f32 and bf16 the products' terms are then the same bits, so whatever changes is the quantisation's. Each model is scored
on the held-out text in every recipe (a run of one step with a learning rate of zero).
"""

import json
import shutil
import struct
import sys

import results

NAME = "outliers"
CHANNELS = (5, 77)  # of the first tile of 128
EXPONENTS = (0, 8, 11, 14, 16, 18)
RECIPES = {"bf16": (), "FP8, tiles": ("precision.recipe=fp8",),
           "FP8, one scale a tensor": ("precision.recipe=fp8", "precision.scales=tensor")}

# What reads input_layernorm, and what post_attention_layernorm.
READERS = {"input_layernorm": ("self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa"),
           "post_attention_layernorm": ("mlp.gate", ".gate_proj", ".up_proj")}


def shifts(name, exponent):
    """By how many powers of two the chosen channels of a tensor move (its last dimension)."""
    for norm, readers in READERS.items():
        if name.endswith(f".{norm}.weight"):
            return exponent
        if any(name.endswith(f"{reader}.weight") for reader in readers):
            return -exponent
    return 0


def inject(source, target, exponent):
    """Copies a model directory of bf16 weights with the outliers in it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for file in target.glob("*.safetensors"):
        data = bytearray(file.read_bytes())
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        for name, tensor in header.items():
            by = 0 if name == "__metadata__" else shifts(name, exponent)
            if by == 0:
                continue
            if tensor["dtype"] != "BF16":
                sys.exit(f"{file}: {name} is {tensor['dtype']}, not BF16")
            begin, end = (8 + length + offset for offset in tensor["data_offsets"])
            width = tensor["shape"][-1]
            for channel in CHANNELS:
                for at in range(begin + 2 * channel, end, 2 * width):
                    (bits,) = struct.unpack_from("<H", data, at)
                    if bits & 0x7f80:  # not zero; the exponent stands in bits 7 to 14
                        struct.pack_into("<H", data, at, bits + by * 128)
        file.write_bytes(data)


def run(root, work, seed, identity, arguments, train):
    cell = f"{NAME}-s{seed}"
    source, output = work / f"moe-s{seed}/model", work / cell
    if not source.exists():
        sys.exit(f"{cell} scores what moe-s{seed} trained, and {source} is not here: "
                 f"remove {results.path(root, f'moe-s{seed}')} and run that cell first")
    rows = []
    for exponent in EXPONENTS:
        inject(source, output / "model-with-outliers", exponent)
        for recipe, keys in RECIPES.items():
            print(f"{cell}: 2^{exponent}, {recipe}", file=sys.stderr)
            shutil.rmtree(output / "checkpoints", ignore_errors=True)
            settings = [f"seed={seed}", "model.config=''", f"model.init_from={output / 'model-with-outliers'}",
                        "steps=1", "optimizer.lr=0", "balance.bias_speed=0", *keys]
            log = train(arguments.fathom, output, settings, arguments.threads)
            if log is None:
                sys.exit(f"{cell} was stopped; the same command starts it again")
            result = next(line for line in log if line["kind"] == "result")
            rows.append([recipe, exponent, result["loss"], result["bits_per_byte"]])
    about = {"cell": cell, "seed": seed, "text": identity, "channels": CHANNELS,
             "columns": ["recipe", "exponent", "loss", "bits_per_byte"], "rows": rows}
    target = results.path(root, cell)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(about, indent=1) + "\n")
    shutil.rmtree(output, ignore_errors=True)
