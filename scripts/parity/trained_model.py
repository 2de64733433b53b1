#!/usr/bin/env python3
"""Loads a model directory written by Fathom with Hugging Face transformers and compares log-probs of a text.

  build/parity-venv/bin/python scripts/parity/trained_model.py MODEL_DIRECTORY [--fathom build/release/fathom]

Both compute in float32 from the same weights. Fails when a token's log-prob differs by more than 1e-3.
"""

import argparse
import json
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXT = "template<typename _Tp>\n  class vector : protected _Vector_base<_Tp, _Alloc>\n  {\n    int x = 0;\n  };\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--fathom", default="build/release/fathom")
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.directory)
    model = AutoModelForCausalLM.from_pretrained(arguments.directory, dtype=torch.float32)
    command = [arguments.fathom, "score", arguments.directory, "--text", TEXT, "--dtype", "f32", "--json", "--quiet"]
    scored = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    if ids != [i for i in scored["tokens"] if i != tokenizer.bos_token_id]:
        sys.exit(f"other ids: transformers {ids}, fathom {scored['tokens']}")
    with torch.no_grad():
        logits = model(torch.tensor([scored["tokens"]])).logits[0].double()
    logprobs = torch.log_softmax(logits, -1)
    worst = 0.0
    for i in range(1, len(scored["tokens"])):
        worst = max(worst, abs(float(logprobs[i - 1, scored["tokens"][i]]) - scored["logprobs"][i]))
    print(f"{len(scored['tokens']) - 1} log-probs, largest difference {worst:.2e}")
    if worst > 1e-3:
        sys.exit(1)


if __name__ == "__main__":
    main()
