#!/usr/bin/env bash
# The main job on real text that every machine with a compiler has: trains a tokenizer and a `nano` model on the headers
# of the C++ library, and shows what it learnt.  usage: scripts/demo.sh FATHOM_BINARY [RUN_DIRECTORY]
set -euo pipefail

fathom=$1
run=${2:-runs/demo}

headers=$(echo '#include <vector>' | g++ -E -x c++ - | sed -n 's|^# 1 "\(.*\)/vector".*|\1|p' | head -n 1)
if [ -z "$headers" ]; then
  echo "The headers of the C++ library were not found; is g++ installed?" >&2
  exit 1
fi

echo "Training on the C++ library headers in $headers; everything is kept in $run." >&2
resume=()
[ -d "$run/checkpoints" ] && resume=(--resume)
mkdir -p "$run"
"$fathom" train "$(dirname "$0")/demo.toml" "${resume[@]}" --set "output='$(realpath "$run")'" \
  --set "data.source=[{path='$headers', extensions=['', '.h', '.hpp', '.tcc'], strip_license_header=true}]"

prompt=$'template<typename _Tp>\n  struct'
echo
echo "The model goes on from the first two lines:"
echo
printf '%s' "$prompt"
"$fathom" generate "$run/model" --prompt "$prompt" --max-tokens 160 --temperature 0.6 --top-p 0.95 --seed 3 --quiet
echo
echo
echo "The curves: $run/report.html"
echo "More of it:  $fathom generate $run/model --prompt 'namespace std' --temperature 0.7"
