#!/usr/bin/env python3
"""Writes a sharded bf16 checkpoint of DeepSeek-V2-Lite's shapes with as many layers as fill so many gigabytes.

  scripts/large_checkpoint.py DIRECTORY --gigabytes 27

For measuring what `fathom convert` takes on checkpoints larger than memory (docs/formats.md). The weights are random
numbers of the size of a trained model's, the same 64 MiB again and again. Needs nothing but Python.
"""

import argparse
import json
import os
import pathlib
import struct

HIDDEN, DENSE, EXPERT, EXPERTS, SHARED, VOCABULARY = 2048, 10944, 1408, 64, 2, 102400
HEADS, NOPE, ROPE, VALUE, LATENT = 16, 128, 64, 128, 512
SHARD = 4 * 10**9

CONFIG = {
    "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN, "intermediate_size": DENSE, "moe_intermediate_size": EXPERT,
    "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "n_shared_experts": SHARED,
    "n_routed_experts": EXPERTS, "routed_scaling_factor": 1.0, "kv_lora_rank": LATENT, "q_lora_rank": None,
    "qk_rope_head_dim": ROPE, "v_head_dim": VALUE, "qk_nope_head_dim": NOPE, "n_group": 1, "topk_group": 1,
    "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": False, "num_experts_per_tok": 6,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "hidden_act": "silu", "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "attention_bias": False, "rope_theta": 10000,
    "bos_token_id": 100000, "eos_token_id": 100001, "torch_dtype": "bfloat16",
}


def mlp(prefix, width):
    return [(f"{prefix}.{name}_proj.weight", [HIDDEN, width] if name == "down" else [width, HIDDEN])
            for name in ("gate", "up", "down")]


def layer(index):
    prefix = f"model.layers.{index}"
    attention = f"{prefix}.self_attn"
    tensors = [
        (f"{prefix}.input_layernorm.weight", [HIDDEN]),
        (f"{prefix}.post_attention_layernorm.weight", [HIDDEN]),
        (f"{attention}.q_proj.weight", [HEADS * (NOPE + ROPE), HIDDEN]),
        (f"{attention}.kv_a_proj_with_mqa.weight", [LATENT + ROPE, HIDDEN]),
        (f"{attention}.kv_a_layernorm.weight", [LATENT]),
        (f"{attention}.kv_b_proj.weight", [HEADS * (NOPE + VALUE), LATENT]),
        (f"{attention}.o_proj.weight", [HIDDEN, HEADS * VALUE]),
    ]
    if index == 0:
        return tensors + mlp(f"{prefix}.mlp", DENSE)
    tensors += [(f"{prefix}.mlp.gate.weight", [EXPERTS, HIDDEN])]
    tensors += mlp(f"{prefix}.mlp.shared_experts", SHARED * EXPERT)
    for expert in range(EXPERTS):
        tensors += mlp(f"{prefix}.mlp.experts.{expert}", EXPERT)
    return tensors


def size(shape):
    return 2 * shape[0] * (shape[1] if len(shape) == 2 else 1)


def weights(count):
    """bf16 numbers of either sign from 2^-7 to 2^-3."""
    data = bytearray(2 * count)
    data[0::2] = os.urandom(count)
    data[1::2] = bytes(0x3C | (byte & 0x81) for byte in os.urandom(count))
    return memoryview(data)


def write_shard(path, tensors, block):
    header, offset = {}, 0
    for name, shape in tensors:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size(shape)]}
        offset += size(shape)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset > 0:
            file.write(block[: min(offset, len(block))])
            offset -= min(offset, len(block))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--gigabytes", type=float, default=27)
    arguments = arguments.parse_args()
    outer = [("model.embed_tokens.weight", [VOCABULARY, HIDDEN]), ("lm_head.weight", [VOCABULARY, HIDDEN]),
             ("model.norm.weight", [HIDDEN])]
    tensors, layers = outer, 0
    while sum(size(shape) for _, shape in tensors) < arguments.gigabytes * 1e9:
        tensors = tensors + layer(layers)
        layers += 1

    shards, filled = [[]], 0
    for tensor in tensors:
        if filled + size(tensor[1]) > SHARD:
            shards.append([])
            filled = 0
        shards[-1].append(tensor)
        filled += size(tensor[1])
    arguments.directory.mkdir(parents=True)
    block, index = weights(1 << 25), {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_shard(arguments.directory / name, shard, block)
        index.update({tensor: name for tensor, _ in shard})
    total = sum(size(shape) for _, shape in tensors)
    for name, content in (("model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index}),
                          ("config.json", CONFIG | {"num_hidden_layers": layers})):
        (arguments.directory / name).write_text(json.dumps(content, indent=2))
    print(f"{layers} layers, {total} bytes in {len(shards)} files")


if __name__ == "__main__":
    main()
