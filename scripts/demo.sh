#!/usr/bin/env bash
# The main job, which every machine with a compiler can do: trains a tokenizer and a `nano` model on the headers of the
# C++ library and on worked problems, shows what it learnt, and teaches it to think before it answers. Stopped at any
# time, it goes on where it was.  usage: scripts/demo.sh FATHOM_BINARY [RUN_DIRECTORY]
set -euo pipefail

fathom=$1
here=$(dirname "$0")
mkdir -p "${2:-runs/demo}"
run=$(realpath "${2:-runs/demo}")

headers=$(echo '#include <vector>' | g++ -E -x c++ - | sed -n 's|^# 1 "\(.*\)/vector".*|\1|p' | head -n 1)
if [ -z "$headers" ]; then
  echo "The headers of the C++ library were not found; is g++ installed?" >&2
  exit 1
fi

problems=$run/problems
if [ ! -d "$problems" ]; then
  rm -rf "$problems.part"
  mkdir "$problems.part"
  write() { "$fathom" problems "${@:2}" --largest 20 --quiet --out "$problems.part/$1.jsonl"; }
  # To pre-train on: sums that are worked out, and stories with sums in them of which few are.
  write sums arithmetic --difficulty 2-3 --count 7600 --form text
  write stories words --difficulty 3 --count 25000 --form text --hasty 0.8
  # To tune on: half of the answers are worked out. To learn from by trying; and to measure with.
  write chats words --difficulty 3 --count 3000 --form chat --mark sentence --hasty 0.5 --seed 1
  write tasks words --difficulty 3 --count 2000 --seed 2
  write held-out words --difficulty 3 --count 200 --held-out
  mv "$problems.part" "$problems"
fi

echo "Training on the C++ library headers in $headers and on problems; everything is kept in $run." >&2
resume=()
[ -d "$run/checkpoints" ] && resume=(--resume)
"$fathom" train "$here/demo.toml" "${resume[@]}" --set "output='$run'" --set "data.source[0].path='$headers'" \
  --set "data.source[1].path='$problems/stories.jsonl'" --set "data.source[2].path='$problems/sums.jsonl'"

prompt=$'template<typename _Tp>\n  struct'
echo
echo "The model goes on from the first two lines:"
echo
printf '%s' "$prompt"
"$fathom" generate "$run/model" --prompt "$prompt" --max-tokens 160 --temperature 0.6 --top-p 0.95 --seed 3 --quiet
echo
echo

echo "Teaching it to think: fine-tuning, then reinforcement learning." >&2
resume=()
[ -d "$run/r1" ] && resume=(--resume)
"$fathom" r1 "$here/demo-r1.toml" "${resume[@]}" --set "output='$run/r1'" \
  --set "evaluation.tasks=['$problems/held-out.jsonl']" --set "stage[0].sft.model.init_from='$run/model'" \
  --set "stage[0].sft.data.source[0].path='$problems/chats.jsonl'" \
  --set "stage[1].rl.data.source[0].path='$problems/tasks.jsonl'"

# One of those that are held out, whoever it is about.
question="David starts with 19 coins. Then David sells 12. Then David loses 6. Then David buys 6 more. How many coins does
David have now?"
echo
echo "$question"
echo
tr '\n' ' ' <<<"$question" | "$fathom" chat "$run/r1/rl/model" --think --temperature 0 --quiet

echo
echo "The curves:       $run/report.html, $run/r1/report.html"
echo "More C++:         $fathom generate $run/model --prompt 'namespace std' --temperature 0.7"
echo "Ask it yourself:  $fathom chat $run/r1/rl/model --think"
