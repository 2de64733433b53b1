#!/usr/bin/env python3
"""Compares Fathom's chat templates with Python's Jinja in transformers' settings, or makes the goldens of tests/golden/text.

  scripts/parity/chat_templates.py compare [--fathom build/release/fathom] [--data DIR] [--sdist FILE] [--verbose]
  scripts/parity/chat_templates.py golden [--data DIR] [--sdist FILE]

DIR holds deepseek-v3.tokenizer_config.json and deepseek-v3.tokenizer.json.gz. The other templates are those that the
source package of llama-cpp-python carries (models/templates of llama.cpp); it is downloaded unless --sdist names it.
Packages go into a virtual environment of the script's own (--venv).
"""

import argparse
import ast
import copy
import datetime
import gzip
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

import own_venv

PACKAGES = ["jinja2==3.1.6", "tokenizers==0.23.3", "xxhash==3.5.0"]
SDIST = "llama-cpp-python==0.3.36"
ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "text"
NOW = 1753500000  # 26 July 2025


# ---- Python's side ---------------------------------------------------------------------------------------------------

def environment():
    """Jinja as transformers.utils.chat_template_utils sets it up."""
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

        def _body(self, caller):
            return caller()

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(form)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                       extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


def render(template, request, special_tokens):
    """The text, or None where Python refuses."""
    variables = {**special_tokens, "tools": request.get("tools"), "documents": None,
                 "add_generation_prompt": request.get("add_generation_prompt", True),
                 **request.get("chat_template_kwargs", {})}
    try:
        return template.render(messages=copy.deepcopy(request["messages"]), **variables), None
    except Exception as error:  # whatever a template does to Python
        return None, f"{type(error).__name__}: {error}"


# ---- conversations ---------------------------------------------------------------------------------------------------

def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def tool(content, identifier="call00001", name="get_weather"):
    return {"role": "tool", "content": content, "tool_call_id": identifier, "name": name}


def calls(*functions, content=None, as_text=False, **more):
    items = [{"id": f"call0000{i + 1}", "type": "function",
              "function": {"name": name, "arguments": json.dumps(a, ensure_ascii=False) if as_text else a}}
             for i, (name, a) in enumerate(functions)]
    return {"role": "assistant", "content": content, "tool_calls": items, **more}


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather \"now\" <at> a place & time, in °C.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "A city's name"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "minimum": 1, "maximum": 7}}, "required": ["city"]}}}
SEARCH = {"type": "function", "function": {
    "name": "search", "description": "Searches.\nSeveral lines.",
    "parameters": {"type": "object", "properties": {
        "query": {"type": "string", "description": "日本語 too"}, "limit": {"type": "number", "default": 2.5},
        "filters": {"type": "array", "description": "Filters", "items": {"type": "string", "description": "One"}},
        "deep": {"type": "object", "description": "Nested", "properties": {
            "x": {"type": "boolean", "description": "X"}, "y": {"type": "null", "description": "Y"}}}},
        "required": ["query", "filters"]}}}
NOTHING = {"type": "function", "function": {"name": "ping", "description": "", "parameters": {"type": "object", "properties": {}}}}

SPECIALS = ("<｜User｜>x<｜Assistant｜><｜end▁of▁sentence｜><|im_start|>system\n<|im_end|><|eot_id|><|start_header_id|>"
            "<think></think><tool_call>{{ bos_token }}{% raw %}")


def conversations():
    """(name, messages, tools) in OpenAI's form with arguments as objects; every family gets all of them."""
    w, ws = [WEATHER], [WEATHER, SEARCH, NOTHING]
    berlin, rome = ("get_weather", {"city": "Berlin", "days": 3}), ("get_weather", {"city": "Roma \"è\"\n", "unit": None})
    plain = [
        ("one question", [user("Hello!")]),
        ("system and question", [system("Be brief."), user("What is 2+2?")]),
        ("two turns", [user("a"), assistant("b"), user("c")]),
        ("system, two turns", [system("Be brief."), user("What is 2+2?"), assistant("4"), user("And 3+3?")]),
        ("four turns", [user("1"), assistant("2"), user("3"), assistant("4"), user("5"), assistant("6"), user("7")]),
        ("ends with the answer", [user("a"), assistant("b")]),
        ("ends with the answer, system", [system("s"), user("a"), assistant("b")]),
        ("empty question", [user("")]),
        ("empty system", [system(""), user("x")]),
        ("empty answer", [user("x"), assistant(""), user("y")]),
        ("white space", [system("  s \n"), user("\n\n a \t\n"), assistant(" \n b\n\n"), user("  ")]),
        ("unicode", [system("Sei höflich. 你好"), user("多言語 é👩‍👩‍👧‍👦 \u0301\u200d\U0001F1E9\U0001F1EA"), assistant("ﬁ ß İ ǅ"), user("한국어 नमस्ते")]),
        ("unicode spaces", [user("\u00a0a\u3000"), assistant("\u2028b\u2029"), user("\u200bc\ufeff")]),
        ("control characters", [user("a\x00b\x07c\x7fd\x1be"), assistant("\x1c\x1d"), user("\r\n\r")]),
        ("quotes and escapes", [user("'\"\\n\\\\ {\"a\": 1} <b>&amp;</b>"), assistant("`'\"`"), user("%s {} {0} %(x)s")]),
        ("special tokens", [system(SPECIALS), user(SPECIALS), assistant("a" + SPECIALS), user(SPECIALS)]),
        ("jinja in contents", [user("{{ 7*7 }}{% for x in y %}{# c #}"), assistant("{{ messages }}"), user("x")]),
        ("long", [system("word " * 500), user("line\n" * 300), assistant("x" * 3000), user("z")]),
        ("code", [user("```python\ndef f(x):\n    return {'a': x}\n```"), assistant("    indented\n\ttab"), user("ok")]),
        ("two systems", [system("one"), user("x"), system("two"), assistant("y"), user("z")]),
        ("system last", [user("x"), system("two")]),
        ("two questions", [user("x"), user("y")]),
        ("assistant first", [assistant("Welcome."), user("Hi")]),
        ("two answers", [user("x"), assistant("a"), assistant("b"), user("y")]),
        ("system only", [system("s")]),
        ("unknown role", [user("x"), {"role": "critic", "content": "y"}]),
        ("numbers as text", [user("1e5 007 -0.0 1_000"), assistant("42"), user("３")]),
    ]
    reasoning = [
        ("thoughts in the content", [user("x"), assistant("<think>\nhm\n</think>\n\nanswer"), user("y")]),
        ("thoughts without a beginning", [user("x"), assistant("hm\n</think>\n\nanswer"), user("y")]),
        ("thoughts at the end", [user("x"), assistant("<think>\nhm\n</think>\n\nanswer")]),
        ("empty thoughts", [user("x"), assistant("<think>\n\n</think>\n\nanswer"), user("y")]),
        ("several marks", [user("x"), assistant("<think>a</think>b</think>c<think>"), user("y")]),
        ("thoughts apart", [user("x"), assistant("answer", reasoning_content="I think\n\nso"), user("y")]),
        ("thoughts apart at the end", [user("x"), assistant("answer", reasoning_content="\nhm\n")]),
        ("thoughts apart, none", [user("x"), assistant("answer", reasoning_content=None), user("y")]),
        ("unfinished thoughts", [user("x"), assistant("<think>\nhm"), user("y")]),
        ("thoughts in two turns", [user("x"), assistant("<think>a</think>b"), user("y"), assistant("<think>c</think>d"), user("z")]),
    ]
    result = [(name, messages, None) for name, messages in plain + reasoning]
    result += [
        ("tools, no call", [user("x")], w),
        ("three tools, system", [system("Use tools."), user("x")], ws),
        ("tools, answered", [user("x"), assistant("no need"), user("y")], ws),
        ("empty list of tools", [user("x")], []),
        ("one call", [user("Berlin?"), calls(berlin)], w),
        ("call and result", [user("Berlin?"), calls(berlin), tool("{\"t\": 21.5}")], w),
        ("call, result, answer", [user("Berlin?"), calls(berlin), tool("{\"t\": 21.5}"), assistant("21.5 °C.")], w),
        ("call, result, answer, question", [user("Berlin?"), calls(berlin), tool("21"), assistant("21."), user("Rome?")], w),
        ("parallel calls", [user("Both?"), calls(berlin, rome)], w),
        ("parallel calls and results", [user("Both?"), calls(berlin, rome), tool("21"), tool("25", "call00002"), assistant("21 and 25.")], w),
        ("calls twice", [user("B?"), calls(berlin), tool("21"), calls(rome), tool("25"), assistant("done"), user("thanks")], w),
        ("call with content", [user("B?"), calls(berlin, content="Let me look."), tool("21"), assistant("21")], w),
        ("call with empty content", [user("B?"), calls(berlin, content=""), tool("21"), assistant("21")], w),
        ("call with thoughts", [user("B?"), calls(berlin, content="<think>\nlook\n</think>\n\n"), tool("21"), assistant("21")], w),
        ("call with thoughts apart", [user("B?"), calls(berlin, content="", reasoning_content="look it up"), tool("21"), assistant("21", reasoning_content="fine")], w),
        ("call, no arguments", [user("?"), calls(("ping", {})), tool("pong", name="ping"), assistant("ok")], ws),
        ("call, nested arguments", [user("?"), calls(("search", {"query": "日本 'x' \"y\" <z>", "filters": ["a", 1, 2.0, True, None, {"k": []}], "limit": 1e-7})), tool("[]", name="search"), assistant("ok")], ws),
        ("result with special tokens", [user("?"), calls(berlin), tool(SPECIALS), assistant("ok")], w),
        ("empty result", [user("?"), calls(berlin), tool(""), assistant("ok")], w),
        ("calls without tools", [user("?"), calls(berlin), tool("1"), assistant("ok")], None),
        ("arguments as text", [user("?"), calls(berlin, rome, as_text=True), tool("1"), tool("2"), assistant("ok")], w),
        ("arguments as text, content", [user("?"), calls(berlin, as_text=True, content="so"), tool("1"), assistant("ok"), user("and?")], w),
        ("result last, text", [user("?"), calls(berlin, as_text=True), tool("1")], w),
        ("three results", [user("?"), calls(berlin, rome, ("ping", {}), as_text=True), tool("1"), tool("2"), tool("3")], ws),
        ("calls twice, text", [user("B?"), calls(berlin, as_text=True), tool("21"), calls(rome, as_text=True), tool("25"), assistant("done"), user("thanks")], w),
        ("empty list of calls", [user("?"), assistant("x", tool_calls=[]), user("y")], None),
        ("system, tools, long talk", [system("S"), user("1"), assistant("2"), user("3"), calls(berlin), tool("4"), assistant("5"), user("6")], ws),
    ]
    return result


def requests():
    """What a template is asked: every conversation with and without the beginning of an answer, and some variables."""
    rows = []
    for name, messages, tools in conversations():
        for generation_prompt in (True, False):
            rows.append({"name": name, "messages": messages, "tools": tools, "add_generation_prompt": generation_prompt})
    for think in (True, False):
        for name, messages, tools in conversations():
            if name in ("one question", "system and question", "thoughts apart", "thoughts at the end", "call, result, answer", "three tools, system"):
                rows.append({"name": f"{name}, thinking {think}", "messages": messages, "tools": tools, "add_generation_prompt": True,
                             "chat_template_kwargs": {"enable_thinking": think, "thinking": think}})
    for row in rows:
        row.update(verbatim=True, now=NOW)
        row.setdefault("chat_template_kwargs", {})
    extra = {"date_string": "1 Jan 2025", "tools_in_user_message": False, "custom_tools": [NOTHING]}
    for key, value in extra.items():
        for name, messages, tools in conversations():
            if name in ("one question", "three tools, system", "call, result, answer"):
                rows.append({"name": f"{name}, {key}", "messages": messages, "tools": tools, "add_generation_prompt": True,
                             "chat_template_kwargs": {key: value}, "verbatim": True, "now": NOW})
    return rows


# ---- templates -------------------------------------------------------------------------------------------------------

def sdist_file(arguments):
    if arguments.sdist:
        return arguments.sdist
    cache = ROOT / "build" / "parity-templates"
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("llama_cpp_python-*.tar.gz")):
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--dest", cache, SDIST], check=True)
    return next(cache.glob("llama_cpp_python-*.tar.gz"))


def templates(arguments):
    """(name, text, special tokens) of every template found."""
    v3 = json.loads((arguments.data / "deepseek-v3.tokenizer_config.json").read_text())
    deepseek = {"bos_token": v3["bos_token"]["content"], "eos_token": v3["eos_token"]["content"]}
    chatml = {"eos_token": "<|im_end|>"}
    llama = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    found = [("DeepSeek-V3", v3["chat_template"], deepseek)]
    # R1's template is V3's with one more mark at its very end.
    end = "{{'<｜Assistant｜>'}}{% endif %}"
    assert v3["chat_template"].endswith(end)
    found.append(("DeepSeek-R1", v3["chat_template"][:-len(end)] + "{{'<｜Assistant｜><think>\\n'}}{% endif %}", deepseek))
    with tarfile.open(sdist_file(arguments)) as archive:
        for member in archive:
            name = pathlib.PurePosixPath(member.name)
            if "models/templates/" in member.name and name.suffix == ".jinja":
                text = archive.extractfile(member).read().decode()
                tokens = deepseek if "deepseek" in name.name.lower() else llama if "llama" in name.name.lower() else \
                    chatml if "qwen" in name.name.lower() else {"bos_token": "<s>", "eos_token": "</s>"}
                found.append((name.stem, text, tokens))
            if name.name == "llama_chat_format.py" and "test" not in member.name:
                for node in ast.parse(archive.extractfile(member).read().decode()).body:
                    if isinstance(node, ast.Assign) and node.targets[0].id.endswith("_CHAT_TEMPLATE") and isinstance(node.value, ast.Constant):
                        tokens = llama if "LLAMA" in node.targets[0].id else {"bos_token": "<s>", "eos_token": "</s>"}
                        found.append((node.targets[0].id, node.value.value, tokens))
    return found


# What Fathom writes out in C++, by the template that the format is taken from.
NATIVE = {"DeepSeek-V3": "deepseek-v3", "DeepSeek-R1": "deepseek-r1", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-r1-distill",
          "Qwen-Qwen2.5-7B-Instruct": "qwen2.5", "Qwen-Qwen3-0.6B": "qwen3", "meta-llama-Llama-3.1-8B-Instruct": "llama3.1",
          "meta-llama-Llama-3.3-70B-Instruct": "llama3.1", "meta-llama-Llama-3.2-3B-Instruct": "llama3.2",
          "LLAMA3_INSTRUCT_CHAT_TEMPLATE": "llama3"}


def write_model(directory, text, tokens, tokenizer=None):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer_config.json").write_text(json.dumps({**tokens, "chat_template": text}))
    if tokenizer is not None:
        (directory / "tokenizer.json").write_bytes(tokenizer)


def ask(arguments, directory, rows, engine):
    lines = "".join(json.dumps({k: v for k, v in row.items() if k != "name" and v is not None}) + "\n" for row in rows)
    done = subprocess.run([arguments.fathom, "tokenize", "chat", directory, "--batch", "--engine", engine],
                          input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        return None, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line], None


# ---- golden ----------------------------------------------------------------------------------------------------------

def golden(arguments):
    """The conversations, hashes of what the originals make of them (their texts are not ours to keep), and what Python makes
    of our own templates."""
    import jinja_cases
    import xxhash
    env = environment()
    rows = requests()

    def write(name, value):
        body = ",\n".join(f"{json.dumps(k)}: " + ("[\n" + ",\n".join(json.dumps(x) for x in v) + "]" if isinstance(v, list) else json.dumps(v))
                          for k, v in value.items())
        (GOLDEN / name).write_text("{" + body + "}\n")
        print(f"{name}: {(GOLDEN / name).stat().st_size} bytes")

    write("chat_conversations.json", {"conversations": rows})
    formats = {}
    for name, text, tokens in templates(arguments):
        if name in NATIVE and NATIVE[name] not in formats:
            template = env.from_string(text)
            texts = [render(template, row, tokens)[0] for row in rows]
            # [bytes, XXH64], or null where Python's Jinja refuses.
            formats[NATIVE[name]] = {"special_tokens": tokens,
                                     "texts": [t if t is None else [len(t.encode()), xxhash.xxh64(t.encode()).hexdigest()] for t in texts]}
    write("chat_native.json", formats)
    cases = []
    for case in jinja_cases.CASES:
        try:
            cases.append([case, env.from_string(case).render(**jinja_cases.VARIABLES)])
        except Exception:
            cases.append([case, None])
    write("chat_jinja.json", {"now": NOW, "variables": jinja_cases.VARIABLES, "cases": cases})


# ---- compare ---------------------------------------------------------------------------------------------------------

def difference(a, b):
    where = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"at {where}: ours {a[max(0, where - 30):where + 50]!r}, theirs {b[max(0, where - 30):where + 50]!r}"


def compare(arguments):
    env = environment()
    rows = requests()
    failed = False
    total = 0
    print(f"{len(rows)} conversations a template; both refuse: what Python's Jinja refuses is refused")
    print(f"{'template':48} {'format':20} {'equal':>6} {'both refuse':>12} {'differ':>7}  interpreted / native")
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        for name, text, tokens in templates(arguments):
            template = env.from_string(text)
            theirs = [render(template, row, tokens) for row in rows]
            write_model(directory / name, text, tokens)
            line = {}
            format_name = "jinja"
            for engine in ("jinja", "native"):
                ours, error = ask(arguments, directory / name, rows, engine)
                if ours is None:
                    if engine == "jinja":
                        failed = True
                        print(f"FAIL {name}: {error.strip()}")
                    continue
                equal = refused = 0
                differing = []
                for row, mine, (text_, python_error) in zip(rows, ours, theirs):
                    format_name = mine.get("format", format_name)
                    if text_ is None and "error" in mine:
                        refused += 1
                    elif text_ is not None and mine.get("text") == text_:
                        equal += 1
                    elif "error" in mine:
                        differing.append((row["name"], "refused: " + mine["error"]))
                    elif text_ is None:
                        differing.append((row["name"], f"Python refuses: {python_error}"))
                    else:
                        differing.append((row["name"], difference(mine["text"], text_)))
                line[engine] = (equal, refused, len(differing))
                total += equal
                failed |= bool(differing)
                for what, detail in differing[:None if arguments.verbose else 2]:
                    print(f"  FAIL {name} [{engine}] {what}: {detail}")
                if arguments.verbose:
                    for row, mine, (text_, python_error) in zip(rows, ours, theirs):
                        if text_ is None and "error" in mine:
                            print(f"    both refuse {name} [{engine}] {row['name']}: {mine['error']} | {python_error}")
            if format_name != NATIVE.get(name, "jinja"):
                failed = True
                print(f"  FAIL {name}: read as {format_name}")
            counts = " ".join(f"{line[e][0]:4}/{line[e][1]}/{line[e][2]}" for e in line)
            print(f"{name:48} {format_name:20} {counts}", flush=True)
        failed |= compare_ids(arguments, env, rows, directory)
    print(f"{total} renderings equal")
    sys.exit(failed)


def compare_ids(arguments, env, rows, directory):
    """Ids with V3's vocabulary: those of Hugging Face wherever nobody writes the names of special tokens."""
    from tokenizers import Tokenizer
    data = gzip.open(arguments.data / "deepseek-v3.tokenizer.json.gz").read()
    reference = Tokenizer.from_str(data.decode())
    name, text, tokens = templates(arguments)[0]
    write_model(directory / "with ids", text, tokens, data)
    ours, error = ask(arguments, directory / "with ids", rows, "auto")
    if ours is None:
        print(f"FAIL ids: {error}")
        return True
    template = env.from_string(text)
    equal = differ = 0
    for row, mine in zip(rows, ours):
        theirs, _ = render(template, row, tokens)
        if theirs is None or "special tokens" in row["name"]:
            continue
        # </think> is an added token too: in a message it is text here, and a token there.
        if any("think>" in str(m) for m in row["messages"]):
            continue
        if mine["ids"] == reference.encode(theirs, add_special_tokens=False).ids:
            equal += 1
        else:
            differ += 1
            print(f"  FAIL ids {row['name']}")
    print(f"ids with DeepSeek-V3's vocabulary: {equal} equal, {differ} differ")
    return differ > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["compare", "golden"])
    parser.add_argument("--fathom", type=pathlib.Path, default=ROOT / "build" / "release" / "fathom")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--sdist", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "chat-templates-venv")
    arguments = parser.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    {"compare": compare, "golden": golden}[arguments.command](arguments)


if __name__ == "__main__":
    main()
