#!/usr/bin/env python3
"""Compares Fathom's tokenizer with Hugging Face `tokenizers`, or makes the small goldens of tests/golden/text.

  scripts/parity/tokenizer.py compare [--fathom build/release/fathom] [--data DIR] [--headers DIR] [--strings N]
  scripts/parity/tokenizer.py golden [--data DIR]

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
import unicodedata

PACKAGES = ["tokenizers==0.23.3", "jinja2==3.1.6"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
SPECIAL = [BEGIN, END, PAD, "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>",
           "<think>", "</think>"]


def enter_venv(path):
    """Runs this script again inside its virtual environment, made when it is missing."""
    python = path / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == path.resolve():
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
    os.execv(python, [python, *sys.argv])


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


# ---- strings that tokenizers get wrong -----------------------------------------------------------------------------

FIXED = [
    "", " ", "  ", "a", " a", "  a", "a ", "\n", "\r\n", "\n\n\n", " \n ", "\t\ta", "a\tb", "hello world", "Hello, World!",
    "don't I'll we've", "3", "34", "345", "3456", "3.14159", "1234567890", "x2y3", "²³¼", "٣٤٥٦", "Ⅷ", "１２３４",
    "你好世界", "你好，世界。", "ひらがなカタカナ漢字", "ー々〆", "한국어", "a中b文c", "中文123中文", "čeština", "ﬁ", "ß", "İ", "ǅ",
    "e\u0301", "\u0301", " \u0301a", "a\u0308\u0301b", "नमस्ते", "ไทย", "שלום", "مرحبا", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "a\u00a0b", "a\u2003b", "a\u3000b", "\u1680", "\u180e", "a\u180eb", "\u2028", "\u2029", "a\u0085b", "\u0085\n", "\ufeffx",
    "\u200b", "a\u200db", "\x00", "a\x00b", "\x1c\x1d", "\x0b\x0c", "\u202f1", "...", "!!!\n\n", " !", "?!\r\n", "#include <vector>\n",
    "int main() { return 0; }\n", "    x = y[i];\n\n\n  z", "a_b_c", "__init__", "_x", "(foo)", "/usr/bin", "\\n", "$x", "€5", "©", "x²",
    "`a`", "{a|b}", "~~~", "^^", "<a>", "https://a.b/c?d=e&f=g#h", "\ud7ff\ue000\uffff", "\U00010000\U0010ffff", "𝒜𝓑", "龥龦", "㐀", "𠀀",
    "\u303f\u3040\u309f\u30a0\u30ff\u3100", " " * 100, "\n" * 50, " \n" * 30, "a" * 300, "1" * 100, "ab" * 100, "." * 200, "中" * 100,
    "a\n b", "a \n b", "a  \n  b", "\n a", "  \n", "\t\n\t", "word\u00a0\n", "A.B", ".a", "..a", "!a1", "'s", "''s", "-x", "--x", "@x", " @x",
    "\u0300\u0300", "1\u0300", "\u20e3", "1\u20e3", "\u00ad", "a\u00adb", "\u061c", "\u2060", "\ufffd", "\u0378", "\u0e33", "\uff9e",
]


def random_string(rng):
    kind = rng.randrange(7)
    length = rng.randrange(1, 25)
    if kind == 0:  # any plane
        def scalar():
            while True:
                c = rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000), rng.randrange(0x110000)])
                # Characters younger than PCRE2's Unicode (10.42 knows version 14, as Python 3.11 does) are letters there
                # and nothing here: a known difference, left out. Planes 4 to 13 have none.
                if unicodedata.category(chr(c)) not in ("Cs", "Cn") or 0x40000 <= c < 0xE0000:
                    return chr(c)
        return "".join(scalar() for _ in range(length))
    if kind == 1:  # white space and letters
        space = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
        return "".join(rng.choice(space) if rng.random() < 0.7 else rng.choice("aZ1.中") for _ in range(length))
    if kind == 2:  # punctuation, letters, digits
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \n aZ09é中") for _ in range(length))
    if kind == 3:  # digits of several scripts
        return "".join(rng.choice("0123456789٠٣९๙Ⅷ²½１ a") for _ in range(length))
    if kind == 4:  # CJK and its borders
        return "".join(chr(rng.choice([0x4DFF, 0x4E00, 0x9FA5, 0x9FA6, 0x3040, 0x309F, 0x30A0, 0x30FF, 0x3100, 0x3001, 0x20000, 0x61]))
                       if rng.random() < 0.5 else chr(rng.randrange(0x3000, 0xA000)) for _ in range(length))
    if kind == 5:  # emoji and what joins them
        return "".join(rng.choice("👍🏽👩‍👧\u200d\ufe0f🇩🇪\u20e3❤ 1\U000e0067") for _ in range(length))
    return "".join(rng.choice(["the ", "int ", " x", "\n", "\n\n", "    ", "foo_", "Bar", "()", "{", "};", "123", "'s", " ", "é", "日本"])
                   for _ in range(length))


# ---- golden --------------------------------------------------------------------------------------------------------

def golden_documents():
    """Text made of few syllables, so that many pairs are equally frequent."""
    rng = random.Random(20)
    syllables = ["ka", "to", "mi", "re", "lo", "an", "ing", "st", "er", "é", "中", "ü"]
    words = ["".join(rng.choice(syllables) for _ in range(rng.randrange(1, 5))) for _ in range(160)]
    documents = []
    for _ in range(12):
        text = ""
        while len(text) < 900:
            text += rng.choice(words) + rng.choice([" ", " ", " ", ", ", ".\n", "\n\n", "(", ");\n    ", " 12", "1999 ", "aaaa", "  "])
        documents.append(text)
    documents.append("<think>" * 5 + "aaaaaaaabaaaabaab" * 3)
    return documents


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
    strings = FIXED + [random_string(rng) for _ in range(400)]

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
        strings = FIXED + [random_string(rng) for _ in range(arguments.strings)]
        # An added token between two strings keeps each on its own.
        compare_ids(report, f"V3 ids, {len(strings):,} adversarial strings", fathom, v3_file, v3, END.join(strings))

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
    parser.add_argument("command", choices=["compare", "golden"])
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build" / "release" / "fathom")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--headers", type=pathlib.Path, default=pathlib.Path("/usr/include/c++/12"))
    parser.add_argument("--strings", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / ".venv" / "tokenizer")
    arguments = parser.parse_args()
    enter_venv(arguments.venv)
    {"compare": compare, "golden": golden}[arguments.command](arguments)


if __name__ == "__main__":
    main()
