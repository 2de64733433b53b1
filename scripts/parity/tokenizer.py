#!/usr/bin/env python3
"""Compares Fathom's tokenizer with Hugging Face `tokenizers`, in ids and in speed, or makes the small goldens of
tests/golden/text.

  scripts/parity/tokenizer.py compare [--fathom build/release/fathom] [--data DIR] [--headers DIR] [--strings N]
  scripts/parity/tokenizer.py golden [--data DIR]
  scripts/parity/tokenizer.py speed [--bench build/release/bench/fathom_tokenizer_bench] [--data DIR]

DIR holds deepseek-v3.tokenizer.json.gz, deepseek-v3.tokenizer_config.json, tinyshakespeare.txt and gsm8k-*.jsonl.
Packages go into a virtual environment of the script's own (--venv).
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import own_venv
import tokenizer_families
from tokenizer_inputs import FIXED, MORE, golden_documents, random_string, sweep

PACKAGES = ["tokenizers==0.23.3", "jinja2==3.1.6"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
SPECIAL = [BEGIN, END, PAD, "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>",
           "<think>", "</think>"]


def load_v3(data):
    from tokenizers import Tokenizer
    return Tokenizer.from_str(gzip.open(data / "deepseek-v3.tokenizer.json.gz", "rt", encoding="utf-8").read())


def train(pre_tokenizer, documents, vocab_size, min_frequency):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(s, special=True, normalized=False) for s in SPECIAL]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=special,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def pair_list(merges):
    return [m if isinstance(m, str) else " ".join(m) for m in merges]


# ---- golden --------------------------------------------------------------------------------------------------------

CHATS = [
    [("user", "Hello!")],
    [("system", "Be brief."), ("user", "What is 2+2?"), ("assistant", "4"), ("user", "And 3+3?")],
    [("user", "a"), ("assistant", "<think>\nhm\n</think>\n\nanswer"), ("user", " b ")],
    [("system", "one"), ("user", "x"), ("system", "two"), ("assistant", ""), ("user", "多言語 é\n")],
    [("system", ""), ("user", "")],
    [("assistant", "</think>a</think>b")],
]


def render(template, messages, generation_prompt):
    import jinja2.sandbox
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": role, "content": content} for role, content in messages]
    return environment.from_string(template).render(messages=messages, add_generation_prompt=generation_prompt,
                                                    bos_token=BEGIN, eos_token=END)


def golden(arguments):
    out = ROOT / "tests" / "golden" / "text"
    out.mkdir(parents=True, exist_ok=True)
    v3 = load_v3(arguments.data)
    rng = random.Random(7)
    short = [s for s in MORE if len(s) < 500]
    strings = FIXED + short + [random_string(rng) for _ in range(400)]

    def write(name, value):
        # One row a line, so that a change reads well.
        body = ",\n".join(f"{json.dumps(k)}: " + ("[\n" + ",\n".join(json.dumps(x, ensure_ascii=True) for x in v) + "]"
                                                 if isinstance(v, list) else json.dumps(v)) for k, v in value.items())
        (out / name).write_text("{" + body + "}\n")

    pieces = []
    for s in strings:
        spans = [span for _, span in v3.pre_tokenizer.pre_tokenize_str(s)]
        pieces.append({"text": s, "pieces": [s[a:b] for a, b in spans]})
    # A character's bytes share its span; only whole pieces appear here because no Split cuts a character.
    assert all("".join(p["pieces"]) == p["text"] for p in pieces)
    write("pretokenizer.json", {"cases": pieces})

    documents = golden_documents()
    runs = []
    for vocab_size, min_frequency in [(400, 0), (700, 2), (5000, 3)]:
        model = json.loads(train(v3.pre_tokenizer, documents, vocab_size, min_frequency).to_str())["model"]
        runs.append({"vocab_size": vocab_size, "min_frequency": min_frequency, "merges": pair_list(model["merges"]),
                     "tokens": [t for t, _ in sorted(model["vocab"].items(), key=lambda item: item[1])]})
    write("trainer.json", {"documents": documents, "runs": runs})

    tokenizer = train(v3.pre_tokenizer, documents + [t for t in FIXED for _ in range(3)], 900, 2)
    from tokenizers import AddedToken
    tokenizer.add_tokens([AddedToken("stan", normalized=True, special=False),
                          AddedToken("<｜User｜>x", normalized=True, special=False),
                          AddedToken("standing", normalized=True, special=False),
                          AddedToken("日本語é", normalized=False, special=False)])
    (out / "tokenizer.json").write_text(tokenizer.to_str())
    with_added = ["<｜User｜>x", "a<｜User｜><｜Assistant｜>", "<｜User｜", "<｜User｜>>", "outstanding stan standin", "x日本語éx日本語", "<think></think>",
                  "<｜end▁of▁sentence｜>\n\n<｜begin▁of▁sentence｜> a", "<<think>>", "<｜<｜User｜>"]
    write("ids.json", {"cases": [{"text": s, "ids": tokenizer.encode(s).ids} for s in strings + with_added]})

    # Every other family, and what no family has: the file and its ids.
    made = [*tokenizer_families.families(documents, 380), *tokenizer_families.odd(documents, 290, 10, seed=3)]
    for name, reference in made:
        tokens = [t.content for t in reference.get_added_tokens_decoder().values()]
        count = 40 if name.startswith("odd") else 100
        texts = FIXED[::1 if count == 100 else 3] + short + [random_string(rng, tokens) for _ in range(count)]
        cases = [{"text": s, "ids": reference.encode(s, add_special_tokens=False).ids} for s in texts]
        write(f"family_{name}.json", {"tokenizer": json.loads(reference.to_str()), "whole": reference.encode("a").ids, "cases": cases})

    template = json.loads((arguments.data / "deepseek-v3.tokenizer_config.json").read_text())["chat_template"]
    chats = []
    for messages in CHATS:
        for generation_prompt in (False, True):
            text = render(template, messages, generation_prompt)
            chats.append({"messages": [{"role": r, "content": c} for r, c in messages], "generation_prompt": generation_prompt,
                          "ids": tokenizer.encode(text).ids})
    write("chat.json", {"cases": chats})
    for path in sorted(out.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


# ---- compare -------------------------------------------------------------------------------------------------------

class Report:
    failed = False

    def line(self, name, same, detail):
        print(f"{'ok  ' if same else 'FAIL'}  {name}: {detail}", flush=True)
        self.failed |= not same


def run(*command, stdin=b""):
    start = time.perf_counter()
    done = subprocess.run([str(c) for c in command], input=stdin, stdout=subprocess.PIPE, check=True)
    return done.stdout, time.perf_counter() - start


def compare_ids(report, name, fathom, model, reference, text):
    out, seconds = run(fathom, "tokenize", "encode", model, stdin=text.encode())
    ours = [int(x) for x in out.split()]
    start = time.perf_counter()
    theirs = reference.encode(text, add_special_tokens=False).ids
    their_seconds = time.perf_counter() - start
    where = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    detail = f"{len(text.encode()):,} bytes, {len(theirs):,} ids, whole process {seconds:.2f} s, theirs {their_seconds:.2f} s"
    if ours != theirs:
        detail += f"; first difference at {where}: {ours[where:where + 5]} against {theirs[where:where + 5]}"
    report.line(name, ours == theirs, detail)
    if ours == theirs:
        back, _ = run(fathom, "tokenize", "decode", model, stdin=out)
        report.line(name + ", decoded", back == text.encode(), f"{len(back):,} bytes")


def compare_strings(report, name, fathom, model, reference, strings, surround=False):
    """Each string on its own, with and without what the post-processor puts around it."""
    lines = "".join(json.dumps(s) + "\n" for s in strings)
    out, seconds = run(fathom, "tokenize", "encode", "--json-lines", *(["--surround"] if surround else []), model, stdin=lines.encode())
    ours = [json.loads(line) for line in out.splitlines()]
    start = time.perf_counter()
    theirs = [e.ids for e in reference.encode_batch(strings, add_special_tokens=surround)]
    their_seconds = time.perf_counter() - start
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    detail = f"{len(strings):,} strings, {sum(map(len, theirs)):,} ids, whole process {seconds:.2f} s, theirs {their_seconds:.2f} s"
    if wrong:
        i = min(wrong, key=lambda i: len(strings[i]))
        detail += f"; {len(wrong)} differ, {strings[i][:100]!r}: {ours[i][:20]} against {theirs[i][:20]}"
    report.line(name, not wrong and len(ours) == len(theirs), detail)


def compare_invalid(report, fathom, model, reference, rng):
    """Random bytes, which are no UTF-8; Python's replacement characters are the ones meant."""
    pieces = [bytes(rng.choice([rng.randrange(256), rng.choice(b"a \xe4\xb8\xad\xf0\x9f\x98\x80\xed\xa0\x80\xc0\xf5")]) for _ in range(rng.randrange(1, 40)))
              for _ in range(20_000)]
    data = END.encode().join(pieces)
    out, _ = run(fathom, "tokenize", "encode", model, stdin=data)
    theirs = reference.encode(data.decode(errors="replace"), add_special_tokens=False).ids
    report.line("V3 ids, bytes that are no UTF-8", [int(x) for x in out.split()] == theirs, f"{len(data):,} bytes")


def measure_speed(bench, model, path):
    """Ours and theirs on one thread in one run: the text at once and (theirs only) as lines."""
    from tokenizers import Tokenizer
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    reference = Tokenizer.from_file(str(model))
    text = path.read_text()
    lines = text.splitlines(keepends=True)

    def median(call):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return len(text.encode()) / 1e6 / sorted(seconds)[2]

    out, _ = run(bench, model, path, "--benchmark_repetitions=5", "--benchmark_report_aggregates_only=true", "--benchmark_min_time=0.2",
                 "--benchmark_format=json")
    ours = {b["run_name"]: b["bytes_per_second"] / 1e6 for b in json.loads(out)["benchmarks"] if b["aggregate_name"] == "median"}
    print(f"speed on {path.name}, one thread, medians of 5 in MB/s: " + ", ".join(f"{name} {speed:.1f}" for name, speed in ours.items()) +
          f"; tokenizers {median(lambda: reference.encode(text)):.2f} at once, {median(lambda: reference.encode_batch_fast(lines)):.2f} by lines", flush=True)


def speed(arguments):
    with tempfile.TemporaryDirectory() as directory:
        model = pathlib.Path(directory) / "v3.json"
        model.write_bytes(gzip.open(arguments.data / "deepseek-v3.tokenizer.json.gz").read())
        measure_speed(arguments.bench, model, arguments.data / "tinyshakespeare.txt")


def compare(arguments):
    from tokenizers import Tokenizer
    report = Report()
    fathom = arguments.fathom
    v3 = load_v3(arguments.data)
    shakespeare = (arguments.data / "tinyshakespeare.txt").read_text()
    school = [(arguments.data / f"gsm8k-{part}.jsonl").read_text() for part in ("train", "test")]
    header_files = [p for p in sorted(arguments.headers.rglob("*")) if p.is_file()]
    headers = [p.read_bytes().decode(errors="replace") for p in header_files]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        v3_file = directory / "v3.json"
        v3_file.write_bytes(gzip.open(arguments.data / "deepseek-v3.tokenizer.json.gz").read())
        compare_ids(report, "V3 ids, tinyshakespeare", fathom, v3_file, v3, shakespeare)
        compare_ids(report, "V3 ids, GSM8K train", fathom, v3_file, v3, school[0])
        compare_ids(report, "V3 ids, GSM8K test", fathom, v3_file, v3, school[1])
        compare_ids(report, "V3 ids, C++ headers", fathom, v3_file, v3, "".join(headers))
        rng = random.Random(arguments.seed)
        code_points = list(sweep())

        def strings_for(reference, count):
            tokens = [t.content for t in reference.get_added_tokens_decoder().values()]
            return FIXED + MORE + [random_string(rng, tokens) for _ in range(count)]

        compare_strings(report, "V3 ids, adversarial strings", fathom, v3_file, v3, strings_for(v3, arguments.strings))
        compare_strings(report, "V3 ids, every code point", fathom, v3_file, v3, code_points)
        compare_invalid(report, fathom, v3_file, v3, rng)
        for name, reference in tokenizer_families.families([shakespeare, *golden_documents()], 3000):
            model = directory / f"{name}.json"
            model.write_text(reference.to_str())
            compare_ids(report, f"{name} ids, tinyshakespeare", fathom, model, reference, shakespeare)
            compare_ids(report, f"{name} ids, GSM8K test", fathom, model, reference, school[1])
            compare_strings(report, f"{name} ids, adversarial strings", fathom, model, reference, strings_for(reference, arguments.strings // 4))
            compare_strings(report, f"{name} ids, with what surrounds", fathom, model, reference, strings_for(reference, 500), surround=True)
            compare_strings(report, f"{name} ids, every code point", fathom, model, reference, code_points)
        for name, reference in tokenizer_families.odd([shakespeare[:100_000], *golden_documents()], 1000, arguments.odd, arguments.seed):
            model = directory / f"{name}.json"
            model.write_text(reference.to_str())
            compare_strings(report, f"{name} ids", fathom, model, reference, strings_for(reference, arguments.strings // 20), surround=True)
            compare_strings(report, f"{name} ids, code points", fathom, model, reference, code_points[::10])
        measure_speed(arguments.bench, v3_file, arguments.data / "tinyshakespeare.txt")

        texts = {"headers": ([str(p) for p in header_files], headers),
                 "Shakespeare + GSM8K": ([str(arguments.data / n) for n in ("tinyshakespeare.txt", "gsm8k-train.jsonl", "gsm8k-test.jsonl")],
                                         [shakespeare, *school])}
        for name, (paths, documents) in texts.items():
            for vocab_size, min_frequency in [(4096, 2), (4096, 0), (16384, 0)]:
                model = directory / f"model-{len(paths)}-{vocab_size}-{min_frequency}"
                out, _ = run(fathom, "tokenize", "train", "--vocab-size", vocab_size, "--min-frequency", min_frequency, "--threads", 1,
                             "--json", "--quiet", "--out", model, *paths)
                ours = json.loads((model / "tokenizer.json").read_text())["model"]
                start = time.perf_counter()
                reference = train(v3.pre_tokenizer, documents, vocab_size, min_frequency)
                seconds = time.perf_counter() - start
                theirs = json.loads(reference.to_str())["model"]
                a, b = pair_list(ours["merges"]), pair_list(theirs["merges"])
                where = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), None)
                size = sum(len(d.encode()) for d in documents)
                same = a == b and ours["vocab"] == theirs["vocab"]
                report.line(f"training on {name}, {vocab_size} tokens, min {min_frequency}", same,
                            f"{size:,} bytes, {len(a):,} merges against {len(b):,}, first difference {where}, "
                            f"{json.loads(out)['seconds']:.2f} s on one thread, theirs {seconds:.2f} s")
            ours = Tokenizer.from_file(str(model / "tokenizer.json"))
            compare_ids(report, f"our file in theirs, {name}", fathom, model, ours, "".join(documents))
            template = json.loads((model / "tokenizer_config.json").read_text())["chat_template"]
        original = json.loads((arguments.data / "deepseek-v3.tokenizer_config.json").read_text())["chat_template"]
        same = all(render(template, c, g) == render(original, c, g) for c in CHATS for g in (False, True))
        report.line("chat template against V3's", same, f"{2 * len(CHATS)} renderings")
    sys.exit(report.failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["compare", "golden", "speed"])
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build" / "release" / "fathom")
    parser.add_argument("--bench", type=pathlib.Path, default=ROOT / "build" / "release" / "bench" / "fathom_tokenizer_bench")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--headers", type=pathlib.Path, default=pathlib.Path("/usr/include/c++/12"))
    parser.add_argument("--strings", type=int, default=200_000)
    parser.add_argument("--odd", type=int, default=40, help="tokenizers with random steps and flags")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "tokenizer-venv")
    arguments = parser.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    {"compare": compare, "golden": golden, "speed": speed}[arguments.command](arguments)


if __name__ == "__main__":
    main()
