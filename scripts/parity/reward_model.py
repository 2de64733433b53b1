#!/usr/bin/env python3
"""Compares reward models of Fathom and of Hugging Face transformers, in float32.

  build/parity-venv/bin/python scripts/parity/reward_model.py MODEL_DIRECTORY [--fathom build/release/fathom]

1. `fathom reward` trains one from MODEL_DIRECTORY for two steps; AutoModelForSequenceClassification loads it, and both
   give the same scores of conversations that transformers' tokenizer renders.
2. transformers makes one of every family (Qwen2 tied, Llama, DeepSeek-V2, DeepSeek-V3) with random weights and the same
   tokenizer; Fathom gives the same scores.

Fails when a score differs by more than 1e-4.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

ROWS = [(f"What is {a} + {b}?", str(a + b), str(a * b + 1)) for a in range(2, 9) for b in range(3, 9)]
GROUPED = dict(hidden_size=40, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
LATENT = dict(
    hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=4, n_shared_experts=1, n_routed_experts=8, kv_lora_rank=16, q_lora_rank=24, qk_rope_head_dim=8,
    v_head_dim=8, qk_nope_head_dim=8, num_experts_per_tok=3, first_k_dense_replace=1,
)
FAMILIES = {
    "qwen2": GROUPED | dict(tie_word_embeddings=True),
    "llama": GROUPED,
    "deepseek_v2": LATENT | dict(topk_method="greedy", n_group=1, topk_group=1, norm_topk_prob=False),
    "deepseek_v3": LATENT | dict(n_group=4, topk_group=2, norm_topk_prob=True, num_nextn_predict_layers=0),
}


def run(*command):
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stderr}")
    return result.stdout


def compare(fathom, tokenizer, directory, rows):
    """The largest difference between the scores of the rows' chosen and rejected answers, and their spread."""
    lines = run(fathom, "score", directory, "--rows", rows, "--dtype", "f32", "--quiet").splitlines()
    ours = [score for line in map(json.loads, lines) for score in (line["chosen_score"], line["rejected_score"])]
    model = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32).eval()
    theirs = []
    for question, chosen, rejected in ROWS:
        for answer in (chosen, rejected):
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                theirs.append(model(torch.tensor([ids])).logits[0, 0].item())
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return worst, max(theirs) - min(theirs)


def train(fathom, model, rows, folder):
    (folder / "reward.toml").write_text(f"""
output = "run"
steps = 2
batch_tokens = 2048
model.init_from = "{model.absolute()}"
precision.recipe = "f32"
optimizer.lr = 1e-3
schedule.warmup_steps = 0
checkpoint.best = false
data = {{sequence_length = 256, held_out_fraction = 0.1, source = [{{path = "{rows}"}}]}}
""")
    run(fathom, "reward", folder / "reward.toml", "--quiet")
    return folder / "run" / "model"


def make(family, settings, tokenizer, tokenizer_from, folder):
    config = AutoConfig.for_model(
        family, **settings, vocab_size=len(tokenizer), max_position_embeddings=512, num_labels=1,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=None)
    torch.manual_seed(5)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.1)
    model.save_pretrained(folder)
    for path in tokenizer_from.iterdir():
        if path.name.startswith("tokenizer") or path.name == "chat_template.jinja":
            shutil.copy(path, folder)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--fathom", default="build/release/fathom")
    arguments = parser.parse_args()
    failed = False
    # By the directory that it is made for: AutoTokenizer would split text by a model's family.
    tokenizer = AutoTokenizer.from_pretrained(arguments.directory)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows = folder / "rows.jsonl"
        rows.write_text("".join(
            json.dumps(dict(prompt=question, chosen=chosen, rejected=rejected)) + "\n"
            for question, chosen, rejected in ROWS))
        models = {"trained by fathom": train(arguments.fathom, arguments.directory, rows, folder)}
        for family, settings in FAMILIES.items():
            models[f"{family} of transformers"] = make(family, settings, tokenizer, arguments.directory, folder / family)
        for title, directory in models.items():
            worst, spread = compare(arguments.fathom, tokenizer, directory, rows)
            failed |= worst > 1e-4
            print(f"reward model {title}: {2 * len(ROWS)} scores over {spread:.2f}, largest difference {worst:.1e}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
