#!/usr/bin/env bash
# Makes tests/golden/model with the original implementations (PyTorch, Hugging Face transformers).
# Usage: make_goldens.sh [VENV [OUT]]   defaults: build/parity-venv, tests/golden/model
# The venv takes about 6 GB on Linux: the registry's PyTorch brings the CUDA libraries it is linked with.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${1:-$root/build/parity-venv}
out=${2:-$root/tests/golden/model}

if ! cmp -s "$here/requirements.txt" "$venv/installed-requirements.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/installed-requirements.txt"
fi
# One thread, no GPU, no look-ups in a hub: the same files every time.
for script in model_goldens.py fp8_blocks.py; do
  OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1 nice -n 5 "$venv/bin/python" "$here/$script" "$out"
done
