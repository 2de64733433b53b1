#!/usr/bin/env python3
"""Compares Fathom's LoRA adapters with Hugging Face PEFT's, on a tiny Qwen2 and a tiny DeepSeek-V3 in float32.

  scripts/parity/lora_peft.py [--fathom build/release/fathom] [--venv build/lora-peft-venv]

1. `fathom sft` trains adapters for two steps on one conversation, without momentum and clipping, so that the second
   checkpoint's first moments are the gradients at the first one's adapters. PEFT loads those, and PyTorch's gradients of
   A and B have to be within 1e-4 of Fathom's in the norm of each tensor.
2. PEFT loads the adapter of the end, and `fathom score --adapter` and PEFT give the same log-probabilities (1e-4);
   so do transformers and the model that `fathom convert --adapter` merges.
3. An adapter that PEFT makes and saves gives the same log-probabilities in Fathom: plain, with rsLoRA in bf16 files, and
   (Qwen2) beside all linear layers.

DeepSeek-V3 has adapters beside attention, as by default: in transformers 5 its experts are one tensor, for which PEFT
takes the names of dense and shared MLPs, too.

Packages go into a virtual environment of the script's own; nothing is downloaded from a hub.
"""

import argparse
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import own_venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGES = [*(HERE / "requirements.txt").read_text().split(), "peft==0.21.2"]

QWEN2 = dict(
    model_type="qwen2", vocab_size=320, hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, hidden_act="silu", max_position_embeddings=256, rms_norm_eps=1e-5, tie_word_embeddings=True,
    attention_dropout=0.0, use_sliding_window=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)
DEEPSEEK_V3 = dict(
    model_type="deepseek_v3", vocab_size=320, hidden_size=32, intermediate_size=48, moe_intermediate_size=16,
    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, n_shared_experts=1, n_routed_experts=8,
    routed_scaling_factor=2.5, kv_lora_rank=16, q_lora_rank=24, qk_rope_head_dim=8, v_head_dim=8, qk_nope_head_dim=8,
    n_group=4, topk_group=2, num_experts_per_tok=3, first_k_dense_replace=1, norm_topk_prob=True, hidden_act="silu",
    max_position_embeddings=256, rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False,
    attention_dropout=0.0, num_nextn_predict_layers=0,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
)
QUESTION, ANSWER = "What is a vector?", "A row of numbers, one after the other."


class Comparison:
    def __init__(self):
        self.failed = False

    def check(self, what, difference, limit):
        ok = difference <= limit
        self.failed |= not ok
        print(f"  {what:<58} {difference:.1e} {'' if ok else f'MORE THAN {limit:.0e}'}", flush=True)


def run(fathom, *arguments, stdin=None):
    result = subprocess.run([fathom, *map(str, arguments)], input=stdin, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"fathom {' '.join(map(str, arguments))}\n{result.stderr}")
    return result.stdout


def make_model(fathom, settings, folder):
    import tiny_model
    from transformers import AutoConfig

    run(fathom, "tokenize", "train", "--vocab-size", 320, "--out", folder, "--quiet", ROOT / "README.md")
    tokens = {token["content"]: token["id"]
              for token in json.loads((folder / "tokenizer.json").read_text())["added_tokens"]}
    begin, end = (tokens[f"<｜{name}▁of▁sentence｜>"] for name in ("begin", "end"))
    settings = settings | dict(bos_token_id=begin, eos_token_id=end)
    model = tiny_model.TinyModel(AutoConfig.for_model(settings.pop("model_type"), **settings))
    tiny_model.random_weights(model, 7)
    tiny_model.save_model(model, None, folder)
    return end


def fathom_logprobs(fathom, model, ids, *options):
    scored = json.loads(run(fathom, "score", model, "--tokens", "-", "--dtype", "f32", "--json",
                            "--quiet", *options, stdin=" ".join(map(str, ids))))
    assert scored["tokens"] == ids, (scored["tokens"], ids)
    return scored["logprobs"][1:]


def torch_logprobs(model, ids):
    import torch

    logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
    return logprobs[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def largest_difference(ours, theirs):
    return max(abs(a - b) for a, b in zip(ours, theirs.tolist(), strict=True))


def compare_gradients(comparison, base, run_folder, ids, answer_tokens):
    """At the adapters of step 1, from the first moments of step 2."""
    import safetensors.torch
    from peft import PeftModel

    checkpoints = run_folder / "checkpoints"
    model = PeftModel.from_pretrained(copy.deepcopy(base), checkpoints / "step-1", is_trainable=True)
    loss = -torch_logprobs(model, ids)[-answer_tokens:].mean()
    loss.backward()
    logged = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    ours = [line["loss"] for line in logged if line["kind"] == "step"][1]
    comparison.check("loss of the second step", abs(ours - loss.item()), 1e-5)
    moments = safetensors.torch.load_file(checkpoints / "step-2" / "trainer" / "optimizer.safetensors")
    worst, compared = 0.0, 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        gradient = moments[name.removeprefix("base_model.model.").replace(".default.", ".") + ".m"]
        assert parameter.grad.norm() > 0, name
        worst = max(worst, ((gradient - parameter.grad).norm() / parameter.grad.norm()).item())
        compared += 1
    assert compared == len(moments) / 2, (compared, len(moments))
    comparison.check(f"gradients of {compared} matrices A and B, relative norm", worst, 1e-4)


def compare_trained(comparison, fathom, folder, base, end):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    question = {"role": "user", "content": QUESTION}
    answer = {"role": "assistant", "content": ANSWER}
    (folder / "chat.jsonl").write_text(json.dumps({"messages": [question, answer]}) + "\n")
    (folder / "sft.toml").write_text(f"""
output = "run"
steps = 2
batch_tokens = 128
model.init_from = "{folder / 'base'}"
precision.recipe = "f32"
optimizer = {{lr = 0.05, beta1 = 0, clip = 1e9, weight_decay = 0}}
schedule = {{type = "constant", warmup_steps = 0}}
checkpoint = {{every = 1, keep = 2, best = false}}
validation.every = 0
lora = {{rank = 4, alpha = 8}}
[data]
sequence_length = 128
held_out_fraction = 0
[[data.source]]
path = "chat.jsonl"
""")
    run(fathom, "sft", folder / "sft.toml", "--quiet")
    prompt = [int(i) for i in run(fathom, "tokenize", "chat", folder / "base", stdin=json.dumps([question])).split()]
    written = [int(i) for i in run(fathom, "tokenize", "encode", "--plain", folder / "base", stdin=ANSWER).split()]
    ids = prompt + written + [end]
    compare_gradients(comparison, base, folder / "run", ids, len(written) + 1)

    adapter = folder / "run" / "adapter"
    theirs = torch_logprobs(PeftModel.from_pretrained(copy.deepcopy(base), adapter).eval(), ids).detach()
    before = largest_difference(fathom_logprobs(fathom, folder / "base", ids), theirs)
    assert before > 0.01, "the adapter does nothing"
    ours = fathom_logprobs(fathom, folder / "base", ids, "--adapter", adapter)
    comparison.check("our adapter in PEFT, log-probabilities", largest_difference(ours, theirs), 1e-4)
    run(fathom, "convert", folder / "base", folder / "merged", "--adapter", adapter, "--quiet")
    comparison.check("our adapter merged by fathom convert, in Fathom",
                     largest_difference(fathom_logprobs(fathom, folder / "merged", ids), theirs), 1e-4)
    merged = AutoModelForCausalLM.from_pretrained(folder / "merged")
    comparison.check("... and in transformers",
                     (torch_logprobs(merged, ids) - theirs).abs().max().item(), 1e-4)
    return ids


def compare_made_elsewhere(comparison, fathom, folder, base, ids, projections):
    import torch
    from peft import LoraConfig, get_peft_model

    for name, dtype, settings in (
        ("plain", torch.float32, dict(r=4, lora_alpha=8, target_modules=projections)),
        ("rsLoRA, bf16 files", torch.bfloat16,
         dict(r=6, lora_alpha=5, use_rslora=True, target_modules=projections[:2])),
        ("all-linear", torch.float32, dict(r=3, lora_alpha=6, target_modules="all-linear")),
    ):
        if name == "all-linear" and base.config.model_type == "deepseek_v3":
            continue
        torch.manual_seed(11)
        # Not PEFT's own start, where B is zero.
        config = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.1, init_lora_weights=False, **settings)
        model = get_peft_model(copy.deepcopy(base), config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.copy_(parameter.to(dtype))
            theirs = torch_logprobs(model, ids)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
        model.save_pretrained(folder / "elsewhere")
        ours = fathom_logprobs(fathom, folder / "base", ids, "--adapter", folder / "elsewhere")
        comparison.check(f"PEFT's adapter in Fathom: {name}", largest_difference(ours, theirs), 1e-4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build/release/fathom")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/lora-peft-venv")
    arguments = parser.parse_args()
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    own_venv.enter(arguments.venv, PACKAGES)
    import torch
    from transformers import AutoModelForCausalLM

    comparison = Comparison()
    fathom = arguments.fathom.resolve()
    for name, settings, projections in (
        ("Qwen2", QWEN2, ["q_proj", "v_proj", "up_proj"]),
        ("DeepSeek-V3", DEEPSEEK_V3, ["kv_b_proj", "q_b_proj", "o_proj"]),
    ):
        print(name)
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            (folder / "base").mkdir()
            end = make_model(fathom, settings, folder / "base")
            base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32,
                                                        attn_implementation="eager")
            ids = compare_trained(comparison, fathom, folder, base, end)
            compare_made_elsewhere(comparison, fathom, folder, base, ids, projections)
    if comparison.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
