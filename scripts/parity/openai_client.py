#!/usr/bin/env python3
"""Talks to `fathom serve` with OpenAI's Python client and with LangChain, and checks what they make of its answers.

  scripts/parity/openai_client.py [--fathom build/release/fathom] [--venv build/openai-client-venv]

The model is a small one of random weights that the script makes: what is checked is the API (shapes, types, streams,
errors, what constraints promise), not what a model says. Packages go into a virtual environment of the script's own.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

import own_venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["openai==3.57.0", "pydantic==2.14.4", "langchain-openai==1.7.4"]
NOT_THINKING = {"chat_template_kwargs": {"thinking": False}}
HELLO = [{"role": "user", "content": "hello"}]


class Server:
    """`fathom serve` with a model of random weights, on a port that is free."""

    def __init__(self, fathom, folder):
        sources = sorted((ROOT / "src" / "base").glob("*.h"))
        self.run(fathom, "tokenize", "train", "--vocab-size", "600", "--quiet", "--out", folder / "tokenizer", *sources)
        self.run(fathom, "init", "nano", folder / "model", "--layers", "2", "--seed", "3", "--tokenizer", folder / "tokenizer")
        self.process = subprocess.Popen([fathom, "serve", folder / "model", "--port", "0", "--json", "--quiet"],
                                        stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    @staticmethod
    def run(*command):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def check(holds, what):
    print(("ok      " if holds else "FAILED  ") + what)
    if not holds:
        check.failures += 1


check.failures = 0


def sampling(client):
    ask = lambda **more: client.completions.create(model="model", prompt="class Error", max_tokens=20, seed=5, **more)
    plain = ask()
    check(plain.choices[0].text == ask().choices[0].text, "a seed gives the same text again")
    liked = ask(logit_bias={"80": 7}).choices[0].text
    penalised = ask(logit_bias={"80": 7}, frequency_penalty=2, presence_penalty=2, extra_body={"repetition_penalty": 1.5})
    common = max(set(liked), key=liked.count)
    check(penalised.choices[0].text.count(common) < liked.count(common), "penalties make repetitions fewer")
    check(len(set(ask(logit_bias={"80": 100}).choices[0].text)) <= 4, "a bias of 100 repeats one token")
    logprobs = client.chat.completions.create(model="model", messages=HELLO, max_tokens=3, logprobs=True, top_logprobs=2)
    check([len(token.top_logprobs) for token in logprobs.choices[0].logprobs.content] == [2] * 3, "log-probs of tokens")


def streaming(client):
    request = dict(model="model", messages=HELLO, max_tokens=30, seed=7)
    whole = client.chat.completions.create(**request)
    parts = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    check(text == whole.choices[0].message.content, "a stream says what a whole answer does")
    check(parts[-1].usage.completion_tokens == whole.usage.completion_tokens, "usage at the end of a stream")
    thinking = client.chat.completions.create(**(request | {"max_tokens": 90}), extra_body={
        "chat_template_kwargs": {"thinking": True}, "thinking_budget": 40})
    thoughts = thinking.usage.completion_tokens_details.reasoning_tokens
    check(bool(thinking.choices[0].message.reasoning_content) and 40 <= thoughts <= 42,
          "thoughts are apart, and end when their budget is used up")
    begun = HELLO + [{"role": "assistant", "content": "int", "prefix": True}]
    more = client.chat.completions.create(model="model", messages=begun, max_tokens=3)
    check(more.usage.prompt_tokens > whole.usage.prompt_tokens, "an answer goes on from its beginning")


def formats(client):
    import pydantic
    from typing import Literal, Optional

    class Point(pydantic.BaseModel):
        x: int = pydantic.Field(ge=0, le=99)
        label: Literal["a", "b"]

    class Shape(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=8)
        closed: bool
        points: list[Point] = pydantic.Field(max_length=2)
        parent: Optional["Shape"] = None

    for seed in range(5):
        answer = client.chat.completions.parse(model="model", messages=HELLO, response_format=Shape, seed=seed, max_tokens=2000,
                                               extra_body=NOT_THINKING)
        choice = answer.choices[0]
        if choice.finish_reason == "stop":
            check(isinstance(choice.message.parsed, Shape), f"a pydantic class comes back (seed {seed})")
    answer = client.chat.completions.create(model="model", messages=HELLO, response_format={"type": "json_object"}, max_tokens=20,
                                            extra_body=NOT_THINKING)
    check(answer.choices[0].message.content.startswith("{"), "a JSON object")


def tools(client):
    import openai

    weather = {"type": "function", "function": {"name": "weather", "strict": True, "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Ulm", "Bonn"]}}, "required": ["city"],
        "additionalProperties": False}}}
    request = dict(model="model", messages=HELLO, tools=[weather], max_tokens=1000, parallel_tool_calls=False, extra_body=NOT_THINKING)
    choice = client.chat.completions.create(**request, tool_choice="required").choices[0]
    call = choice.message.tool_calls[0]
    check(choice.finish_reason == "tool_calls" and json.loads(call.function.arguments)["city"] in ("Ulm", "Bonn"), "a tool is called")
    parts = list(client.chat.completions.create(
        **request, stream=True, tool_choice={"type": "function", "function": {"name": "weather"}}))
    calls = [call for part in parts for call in part.choices[0].delta.tool_calls or []]
    check(len(calls) == 1 and calls[0].function.name == "weather", "a call is streamed")
    messages = HELLO + [choice.message.model_dump(exclude_none=True),
                        {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = client.chat.completions.create(**(request | {"messages": messages, "max_tokens": 5}))
    check(answer.choices[0].message.role == "assistant", "a conversation goes on after a call")
    try:
        client.chat.completions.create(**request, tool_choice={"type": "function", "function": {"name": "none"}})
        check(False, "a tool that is not there is refused")
    except openai.BadRequestError as error:
        check(error.param == "tools", "a tool that is not there is refused")


def langchain(url):
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def add(a: int) -> int:
        """Adds."""
        return a

    model = ChatOpenAI(model="model", base_url=url, api_key="none", max_tokens=300, extra_body=NOT_THINKING, seed=1)
    check(isinstance(model.invoke("hello").content, str), "LangChain: an answer")
    text = "".join(part.content for part in model.stream("hello"))
    check(text == model.invoke("hello").content, "LangChain: a stream")
    calls = model.bind_tools([add], tool_choice="add", parallel_tool_calls=False).invoke("hello").tool_calls
    check(len(calls) == 1 and isinstance(calls[0]["args"]["a"], int), "LangChain: a tool")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fathom", default=str(ROOT / "build" / "release" / "fathom"))
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build" / "openai-client-venv")
    arguments = parser.parse_args()
    own_venv.enter(arguments.venv, PACKAGES)
    import openai

    with tempfile.TemporaryDirectory() as folder:
        server = Server(arguments.fathom, pathlib.Path(folder))
        try:
            client = openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)
            check([model.id for model in client.models.list()] == ["model"], "models")
            for part in (sampling, streaming, formats, tools):
                part(client)
            langchain(server.url)
        finally:
            check(server.stop() == 0, "the server ends in order")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
