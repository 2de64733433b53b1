"""Writes the golden files of the model: see README.md beside this file.

Usage: model_goldens.py OUT
"""

import copy
import json
import pathlib
import platform
import sys

import numpy
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_layers import MtpModel

import adamw_curve
import rope_table
from float64 import double_precision
from tiny_model import RouterProbe, TinyModel, original_names, random_weights, save_model

MTP_LOSS_WEIGHT = 0.3
MARGIN = 1e-3  # no router decision is closer than this, so that rounding cannot flip one

YARN = {
    "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
    "original_max_position_embeddings": 32,
}

COMMON = dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", vocab_size=96, hidden_size=32,
    intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=4, n_shared_experts=1, n_routed_experts=16, routed_scaling_factor=2.5,
    kv_lora_rank=16, q_lora_rank=24, qk_rope_head_dim=8, v_head_dim=8, qk_nope_head_dim=8, n_group=4,
    topk_group=2, num_experts_per_tok=3, first_k_dense_replace=1, norm_topk_prob=True, hidden_act="silu",
    max_position_embeddings=1280, initializer_range=0.02, rms_norm_eps=1e-6, tie_word_embeddings=False,
    attention_bias=False, attention_dropout=0.0, bos_token_id=0, eos_token_id=1, num_nextn_predict_layers=0,
)

# As the released config.json of DeepSeek-V3 spells it: rope_theta beside rope_scaling, and the gate named.
# rope_theta is small so that of the four frequencies one is kept, one is on the ramp and two are divided.
MAIN_RELEASED = COMMON | dict(
    moe_intermediate_size=12, rope_theta=100.0, rope_scaling=YARN | {"type": "yarn"}, scoring_func="sigmoid", topk_method="noaux_tc",
    moe_layer_freq=1, ep_size=1, aux_loss_alpha=0.001, seq_aux=True, torch_dtype="float32", use_cache=True,
)

# As transformers 5 spells it (rope_parameters); sizes that share no factor with a vector's width.
NO_Q_LORA = COMMON | dict(
    hidden_size=36, intermediate_size=52, moe_intermediate_size=20, num_hidden_layers=2, num_attention_heads=3,
    num_key_value_heads=3, n_shared_experts=2, n_routed_experts=8, routed_scaling_factor=1.5, kv_lora_rank=12,
    q_lora_rank=None, qk_rope_head_dim=4, v_head_dim=10, qk_nope_head_dim=6, n_group=1, topk_group=1,
    num_experts_per_tok=2, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)

MTP = COMMON | dict(
    num_hidden_layers=2, n_routed_experts=8, num_nextn_predict_layers=1,
    rope_parameters=YARN | {"rope_type": "yarn", "rope_theta": 100.0},
)

# DeepSeek-V2-Lite's kind, as its config.json spells it: the greedy gate, direct queries.
V2_LITE = COMMON | dict(
    architectures=["DeepseekV2ForCausalLM"], model_type="deepseek_v2", vocab_size=64, hidden_size=24,
    intermediate_size=32, moe_intermediate_size=12, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
    n_shared_experts=2, n_routed_experts=8, routed_scaling_factor=1.0, kv_lora_rank=12, q_lora_rank=None,
    qk_rope_head_dim=8, qk_nope_head_dim=6, v_head_dim=10, n_group=1, topk_group=1, num_experts_per_tok=3,
    norm_topk_prob=False, scoring_func="softmax", topk_method="greedy", moe_layer_freq=1, aux_loss_alpha=0.001,
    seq_aux=True, ep_size=1, pretraining_tp=1, torch_dtype="float32", use_cache=True, rope_theta=100.0,
    rope_scaling=YARN | {"type": "yarn", "mscale": 0.707, "mscale_all_dim": 0.707},
)
del V2_LITE["num_nextn_predict_layers"]

# DeepSeek-V2's kind: groups by their best expert, queries through a low rank.
V2 = V2_LITE | dict(
    num_attention_heads=4, num_key_value_heads=4, n_shared_experts=1, n_routed_experts=12, q_lora_rank=16, n_group=4,
    topk_group=2, routed_scaling_factor=6.0, topk_method="group_limited_greedy",
)

# Grouped-query models; rms_norm_eps is not that of the DeepSeeks. As transformers 5 spells it.
QWEN2 = dict(
    architectures=["Qwen2ForCausalLM"], model_type="qwen2", vocab_size=64, hidden_size=24, intermediate_size=36,
    num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, hidden_act="silu", max_position_embeddings=256,
    initializer_range=0.02, rms_norm_eps=1e-5, tie_word_embeddings=False, attention_dropout=0.0, bos_token_id=0,
    eos_token_id=1, use_sliding_window=False, sliding_window=None,
    rope_parameters={
        "rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 16,
    },
)
QWEN2_TIED = QWEN2 | dict(
    tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=4,
    rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
)

# As the released config.json of Llama 3.1 spells it. With rope_theta 100 and heads of 10, of the five
# frequencies one is kept, one is blended and three are divided.
LLAMA = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=64, hidden_size=24, intermediate_size=36,
    num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=3, head_dim=10, hidden_act="silu",
    max_position_embeddings=256, initializer_range=0.02, rms_norm_eps=1e-5, tie_word_embeddings=False,
    attention_bias=False, attention_dropout=0.0, mlp_bias=False, pretraining_tp=1, bos_token_id=0,
    eos_token_id=[1, 2, 3], torch_dtype="float32", use_cache=True, rope_theta=100.0,
    rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
)


def build(settings, seed, lengths):
    settings = copy.deepcopy(settings)
    config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    model = TinyModel(config)
    random_weights(model, seed)
    generator = torch.Generator().manual_seed(seed + 1_000_000)
    sequences = [torch.randint(2, config.vocab_size, (n,), generator=generator) for n in lengths]
    return model.eval(), sequences


def decisive(model, sequences):
    """Whether no router decision is closer than MARGIN and every expert has a token."""
    probe = RouterProbe(model)
    with torch.no_grad():
        for ids in sequences:
            model(ids)
    probe.close()
    return probe.margin >= MARGIN and probe.every_expert_used(model.main.config)


def losses(outputs, sequences):
    """-> (mean cross-entropy of t_{i+1}, of t_{i+2} or None), over all predicted positions of all sequences."""
    main = F.cross_entropy(
        torch.cat([logits[:-1] for logits, _ in outputs]), torch.cat([ids[1:] for ids in sequences])
    )
    if outputs[0][1] is None:
        return main, None
    mtp = F.cross_entropy(
        torch.cat([logits[:-1] for _, logits in outputs]), torch.cat([ids[2:] for ids in sequences])
    )
    return main, mtp


def relative_difference(ours, exact):
    scale = exact.norm().item()
    return (ours.double() - exact).norm().item() / scale if scale else ours.norm().item()


def run_case(model, sequences):
    """One forward and backward in float64 -> (expected tensors, facts)."""
    double = copy.deepcopy(model).double()
    probe = RouterProbe(double)
    with double_precision():
        outputs = [double(ids) for ids in sequences]
        probe.close()
        main_loss, mtp_loss = losses(outputs, sequences)
        total = main_loss if mtp_loss is None else main_loss + MTP_LOSS_WEIGHT * mtp_loss
        total.backward()

    expected = {"loss": main_loss.detach().reshape(1)}
    if mtp_loss is not None:
        expected["mtp_loss"] = mtp_loss.detach().reshape(1)
        expected["total_loss"] = total.detach().reshape(1)
    for s, (ids, (logits, mtp_logits)) in enumerate(zip(sequences, outputs)):
        expected[f"seq{s}.input_ids"] = ids
        expected[f"seq{s}.logits"] = logits.detach()
        if mtp_logits is not None:
            expected[f"seq{s}.mtp_logits"] = mtp_logits.detach()
        for layer, records in probe.records.items():
            expected[f"seq{s}.layers.{layer}.experts"] = records[s][0]
            expected[f"seq{s}.layers.{layer}.expert_weights"] = records[s][1]
    gradients = original_names(model.main.config, {k: p.grad for k, p in double.named_parameters()})
    expected |= {f"grad.{name}": gradient for name, gradient in gradients.items()}

    # The original as it is, in float32, must say the same.
    single_outputs = [model(ids) for ids in sequences]
    single_main, single_mtp = losses(single_outputs, sequences)
    (single_main if single_mtp is None else single_main + MTP_LOSS_WEIGHT * single_mtp).backward()
    single = original_names(model.main.config, {k: p.grad for k, p in model.named_parameters()})
    logit_difference = max(
        (a.double() - b).abs().max().item()
        for pair, exact in zip(single_outputs, outputs)
        for a, b in zip(pair, exact)
        if a is not None
    )
    gradient_difference = max(relative_difference(single[name], gradients[name]) for name in single)
    assert logit_difference < 1e-4 and gradient_difference < 1e-4, (logit_difference, gradient_difference)
    model.zero_grad(set_to_none=True)
    routers = {
        "smallest_router_margin": rounded(probe.margin),
        "router_decisions": probe.tokens,
        "router_decisions_changed_by_bias": probe.changed,
    }
    facts = {
        "lengths": [len(ids) for ids in sequences],
        "parameters": sum(p.numel() for p in model.parameters()),
        "logits_std": rounded(torch.cat([logits for logits, _ in outputs]).std().item()),
    } | (routers if probe.tokens else {}) | {
        "float32_logits_max_difference": rounded(logit_difference),
        "float32_gradient_max_relative_difference": rounded(gradient_difference),
    }
    return expected, facts


def rounded(value):
    return float(f"{value:.2g}")


def save_expected(expected, path):
    """Floating-point tensors as float32, ids and experts as int32."""
    tensors = {
        name: t.to(torch.float32 if t.is_floating_point() else torch.int32).contiguous()
        for name, t in expected.items()
    }
    safetensors.torch.save_file(tensors, path)
    path.chmod(0o644)


def check_loading(directory, sequences, expected):
    """transformers loads the written directory and computes the same logits (and MTP logits)."""
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    mtp_layer = f"model.layers.{model.config.num_hidden_layers}."
    assert not info["missing_keys"] and not info["mismatched_keys"], info
    assert all(key.startswith(mtp_layer) for key in info["unexpected_keys"]), info
    for s, ids in enumerate(sequences):
        with torch.no_grad():
            output = model(ids[None], output_hidden_states=True, use_cache=False)
        assert torch.allclose(output.logits[0].double(), expected[f"seq{s}.logits"], atol=1e-4)
        if f"seq{s}.mtp_logits" not in expected:
            continue
        # transformers' own MTP layer (which counts positions from 1: the same, as rotations are relative).
        model._keys_to_ignore_on_load_unexpected = [mtp_layer.replace(".", r"\.") + ".*"]
        mtp = MtpModel.from_pretrained(model)
        positions = torch.arange(1, len(ids))[None]
        with torch.no_grad():
            hidden = mtp.forward_layer(
                0, output.hidden_states[-1][:, :-1], positions, None, input_ids=ids[None, 1:]
            )
            logits = model.lm_head(hidden)[0]
        assert torch.allclose(logits.double(), expected[f"seq{s}.mtp_logits"], atol=1e-4)


def write_case(out, name, settings, lengths, config_json=None, accept=lambda model, sequences: {}):
    """Takes the first seed whose router decisions no rounding can flip and that `accept` does not refuse."""
    for seed in range(1, 10_000):
        model, sequences = build(settings, seed, lengths)
        more = accept(model, sequences) if decisive(model, sequences) else None
        if more is not None:
            break
    else:
        sys.exit(f"{name}: no seed will do")
    expected, facts = run_case(model, sequences)
    facts = {"seed": seed} | facts | more
    directory = out / name
    directory.mkdir(parents=True, exist_ok=True)
    save_model(model, config_json, directory)
    save_expected(expected, directory / "expected.safetensors")
    check_loading(directory, sequences, expected)
    print(name, json.dumps(facts))
    return facts


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)

    (out / "rope.json").write_text(json.dumps(rope_table.rows(), indent=1) + "\n")
    cases = {}
    cases["deepseek_v3"] = write_case(
        out, "deepseek_v3", MAIN_RELEASED, (40, 23), config_json=MAIN_RELEASED
    )

    curve = {}

    def follow_curve(model, sequences):
        result = adamw_curve.train(model, sequences, losses)
        if result is None:
            return None
        curve.update(result)
        return {"adamw_float32_loss_max_difference": rounded(result["float32_loss_max_difference"])}

    cases["deepseek_v3_no_q_lora"] = write_case(
        out, "deepseek_v3_no_q_lora", NO_Q_LORA, (26, 17), accept=follow_curve
    )
    (out / "deepseek_v3_no_q_lora" / "adamw.json").write_text(json.dumps(curve, indent=1) + "\n")
    cases["deepseek_v3_mtp"] = write_case(out, "deepseek_v3_mtp", MTP, (19, 12))
    cases["deepseek_v2_lite"] = write_case(out, "deepseek_v2_lite", V2_LITE, (40, 23), config_json=V2_LITE)
    cases["deepseek_v2"] = write_case(out, "deepseek_v2", V2, (40, 23), config_json=V2)
    cases["qwen2"] = write_case(out, "qwen2", QWEN2, (40, 23))
    cases["qwen2_tied"] = write_case(out, "qwen2_tied", QWEN2_TIED, (26, 17))
    cases["llama"] = write_case(out, "llama", LLAMA, (60, 23), config_json=LLAMA)

    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "safetensors": safetensors.__version__,
    }
    made = {"made_by": "scripts/parity/make_goldens.sh", "versions": versions, "cases": cases}
    (out / "made.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
