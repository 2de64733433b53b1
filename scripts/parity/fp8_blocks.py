"""Writes the golden files of a model with FP8 weights: see README.md beside this file.

Usage: fp8_blocks.py OUT
"""

import copy
import json
import pathlib
import sys
import tempfile

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

from float64 import double_precision
from model_goldens import COMMON, YARN, build, decisive, rounded, save_expected
from tiny_model import original_names

BLOCK = 128
LARGEST = torch.finfo(torch.float8_e4m3fn).max  # 448

# Most sizes are no multiple of a block, and some are larger than one.
SETTINGS = COMMON | dict(
    vocab_size=48, hidden_size=136, intermediate_size=140, moe_intermediate_size=20, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=2, n_routed_experts=4, n_group=2, topk_group=1, num_experts_per_tok=2,
    q_lora_rank=132, kv_lora_rank=130, qk_nope_head_dim=28, qk_rope_head_dim=8, v_head_dim=66, max_position_embeddings=64,
    rope_theta=10000.0, rope_scaling=YARN | {"type": "yarn"}, scoring_func="sigmoid", topk_method="noaux_tc",
    moe_layer_freq=1, torch_dtype="bfloat16",
    quantization_config={
        "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK],
    },
)
LENGTHS = (19, 12)


def blocks(matrix):
    """Views of the matrix' blocks, by block row and column."""
    return [
        [matrix[row : row + BLOCK, column : column + BLOCK] for column in range(0, matrix.shape[1], BLOCK)]
        for row in range(0, matrix.shape[0], BLOCK)
    ]


def quantise(weight):
    """-> codes (float8_e4m3fn), scales (float32, one a block)."""
    codes = torch.empty(weight.shape, dtype=torch.float8_e4m3fn)
    scales = torch.tensor([[block.abs().max() / LARGEST for block in row] for row in blocks(weight)])
    for code_row, weight_row, scale_row in zip(blocks(codes), blocks(weight), scales):
        for code, block, scale in zip(code_row, weight_row, scale_row):
            code.copy_((block / scale).to(torch.float8_e4m3fn))
    return codes, scales


def dequantise(codes, scales):
    weight = codes.to(torch.float32)
    for row, scale_row in zip(blocks(weight), scales):
        for block, scale in zip(row, scale_row):
            block.mul_(scale)
    return weight


def is_projection(name):
    return "_proj" in name and "eh_proj" not in name


def quantise_model(model):
    """Rounds the model's weights in place to what the files will hold, which is returned by name."""
    state = {name: tensor for name, tensor in model.state_dict().items()}
    files = {}
    for name, tensor in original_names(model.main.config, state).items():
        if is_projection(name):
            codes, scales = quantise(tensor)
            files[name] = codes
            files[name + "_scale_inv"] = scales
            tensor.copy_(dequantise(codes, scales))
        elif name.endswith("e_score_correction_bias"):
            files[name] = tensor.clone()
        else:
            files[name] = tensor.to(torch.bfloat16)
            tensor.copy_(files[name].to(torch.float32))
    # Experts are parts of fused tensors: that they were changed where they are.
    for name, tensor in original_names(model.main.config, model.state_dict()).items():
        codes = files[name]
        file = dequantise(codes, files[name + "_scale_inv"]) if is_projection(name) else codes.to(torch.float32)
        assert torch.equal(tensor, file), name
    return files


def check_loading(files, sequences, logits):
    """transformers loads the files, dequantised here, and computes the same logits.

    Its own dequantisation divides a matrix evenly by the number of its scales, which is wrong (or refused) where the
    last block is ragged, as that of the released kv_a_proj_with_mqa is.
    """
    weights = {}
    for name, tensor in files.items():
        if tensor.dtype == torch.float8_e4m3fn:
            weights[name] = dequantise(tensor, files[name + "_scale_inv"])
        elif not name.endswith("_scale_inv"):
            weights[name] = tensor.to(torch.float32)
    with tempfile.TemporaryDirectory() as directory:
        settings = {key: value for key, value in SETTINGS.items() if key != "quantization_config"}
        (pathlib.Path(directory) / "config.json").write_text(json.dumps(settings))
        safetensors.torch.save_file(weights, pathlib.Path(directory) / "model.safetensors", metadata={"format": "pt"})
        model, info = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    assert not any(info[kind] for kind in ("missing_keys", "mismatched_keys", "unexpected_keys")), info
    for ids, exact in zip(sequences, logits):
        with torch.no_grad():
            ours = model(ids[None], use_cache=False).logits[0].double()
        assert torch.allclose(ours, exact, atol=1e-4), (ours - exact).abs().max()


def main():
    out = pathlib.Path(sys.argv[1]) / "deepseek_v3_fp8"
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    settings = {key: value for key, value in SETTINGS.items() if key not in ("quantization_config", "torch_dtype")}
    for seed in range(1, 10_000):
        model, sequences = build(settings, seed, LENGTHS)
        with torch.no_grad():
            files = quantise_model(model)
        if decisive(model, sequences):
            break
    double = copy.deepcopy(model).double()
    with double_precision(), torch.no_grad():
        logits = [double(ids)[0] for ids in sequences]
    with torch.no_grad():
        difference = max((model(ids)[0].double() - exact).abs().max().item() for ids, exact in zip(sequences, logits))
    assert difference < 1e-4, difference

    safetensors.torch.save_file(files, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    (out / "config.json").write_text(json.dumps(SETTINGS, indent=2) + "\n")
    expected = {}
    for s, (ids, exact) in enumerate(zip(sequences, logits)):
        expected |= {f"seq{s}.input_ids": ids, f"seq{s}.logits": exact}
    save_expected(expected, out / "expected.safetensors")
    check_loading(files, sequences, logits)
    codes = {name: t for name, t in files.items() if t.dtype == torch.float8_e4m3fn}
    facts = {
        "seed": seed, "fp8_tensors": len(codes), "fp8_bytes": sum(t.numel() for t in codes.values()),
        "blocks": sum(files[name + "_scale_inv"].numel() for name in codes),
        "logits_std": rounded(torch.cat(logits).std().item()),
        "float32_logits_max_difference": rounded(difference),
    }
    (out / "made.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
