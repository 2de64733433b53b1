#!/usr/bin/env bash
# Runs every fuzzer of tests/fuzz under the address and undefined-behaviour sanitizers.
# Usage: fuzz.sh [RUNS [NAME...]]   RUNS executions each (1000000), of all fuzzers or those named
# Inputs that were found stay in build/fuzz/corpus/NAME for the next time; one that crashes, hangs or takes more than
# 1 GiB is written to build/fuzz/NAME-* and ends the script with an error.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
runs=${1:-1000000}
shift || true
scripts/install-packages.sh fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
golden=$root/tests/golden

# seed NAME FILE...: small inputs to start from.
seed() {
  mkdir -p "build/fuzz/corpus/$1"
  local name=$1 file
  shift
  for file in "$@"; do
    [ -f "$file" ] && cp "$file" "build/fuzz/corpus/$name/$(echo "${file#"$golden"/}" | tr / _)"
  done
}

seed safetensors tests/fuzz/seeds/safetensors_*
seed gguf tests/fuzz/seeds/gguf_*
seed config "$golden"/model/*/config.json
seed tokenizer tests/fuzz/seeds/tokenizer*.json
seed jinja tests/fuzz/seeds/jinja_*
seed schema tests/fuzz/seeds/schema_*
seed request tests/fuzz/seeds/request_*
seed answer tests/fuzz/seeds/answer_*

names=("$@")
[ ${#names[@]} -gt 0 ] || for binary in build/fuzz/tests/fuzz/*_fuzz; do names+=("$(basename "$binary" _fuzz)"); done
for name in "${names[@]}"; do
  dictionary=()
  [ -f "tests/fuzz/seeds/$name.dict" ] && dictionary=("-dict=tests/fuzz/seeds/$name.dict")
  echo "$name: $runs executions" >&2
  "build/fuzz/tests/fuzz/${name}_fuzz" -runs="$runs" -max_len=65536 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$name-" "${dictionary[@]}" "build/fuzz/corpus/$name" 2>"build/fuzz/$name.log" ||
    { tail -40 "build/fuzz/$name.log" >&2; exit 1; }
  grep -E "^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)" "build/fuzz/$name.log" | sed "s/^stat::/$name /"
done
