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
        check(error.param == "tool_choice", "a tool that is not there is refused")


def responses(client):
    import openai
    import pydantic

    chat = client.chat.completions.create(model="model", messages=[{"role": "system", "content": "Be brief."}] + HELLO, max_tokens=30, seed=7)
    request = dict(model="model", instructions="Be brief.", input="hello", max_output_tokens=30, extra_body={"seed": 7})
    whole = client.responses.create(**request)
    check(whole.output_text == chat.choices[0].message.content, "responses: the words of a chat that asks the same")
    check(whole.usage.output_tokens == chat.usage.completion_tokens and whole.object == "response", "responses: usage")
    check(whole.status == ("completed" if chat.choices[0].finish_reason == "stop" else "incomplete"), "responses: how it ended")
    events = list(client.responses.create(**request, stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1].response
    check(text == whole.output_text == last.output_text and last.status == whole.status, "responses: a stream says what a whole answer does")
    check([event.sequence_number for event in events] == list(range(len(events))), "responses: events are numbered")
    thinking = client.responses.create(**(request | {"max_output_tokens": 90, "extra_body": {
        "seed": 7, "thinking_budget": 40, "chat_template_kwargs": {"thinking": True}}}))
    check([item.type for item in thinking.output] == ["reasoning", "message"] and thinking.output[0].content[0].text != "" and
          40 <= thinking.usage.output_tokens_details.reasoning_tokens <= 42, "responses: thoughts are an item of their own")

    class Point(pydantic.BaseModel):
        x: int = pydantic.Field(ge=0, le=99)

    parsed = client.responses.parse(model="model", input="hello", text_format=Point, max_output_tokens=300, extra_body=NOT_THINKING)
    check(isinstance(parsed.output_parsed, Point), "responses: a pydantic class comes back")
    with client.responses.stream(model="model", input="hello", text_format=Point, max_output_tokens=300, extra_body=NOT_THINKING) as stream:
        check(isinstance(stream.get_final_response().output_parsed, Point), "responses: and out of a stream")
    add = {"type": "function", "name": "add", "strict": True, "parameters": {
        "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}}
    request = dict(model="model", tools=[add], max_output_tokens=300, parallel_tool_calls=False, extra_body=NOT_THINKING)
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]
    called = client.responses.create(input=asked, tool_choice={"type": "function", "name": "add"}, **request)
    call = called.output[-1]
    check(call.type == "function_call" and isinstance(json.loads(call.arguments)["a"], int), "responses: a function is called")
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    items = [item.model_dump(exclude_none=True) for item in called.output]
    answer = client.responses.create(input=asked + items + [output], tool_choice="none", **request)
    check(answer.output[-1].type == "message", "responses: a conversation goes on after a call")
    try:
        client.responses.create(model="model", input="hello", previous_response_id="resp_1")
        check(False, "responses: what is not kept is refused")
    except openai.BadRequestError as error:
        check(error.param == "previous_response_id", "responses: what is not kept is refused")


def embeddings(client):
    ask = lambda **more: client.embeddings.create(model="model", input=["class Error", "int main"], **more)
    vectors = [item.embedding for item in ask().data]  # the client asks for base64
    check([item.embedding for item in ask(encoding_format="float").data] == vectors, "embeddings: base64 and numbers are the same")
    check(all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors), "embeddings: of length 1")


def langchain(url):
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

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
    model = ChatOpenAI(model="model", base_url=url, api_key="none", max_tokens=30, extra_body=NOT_THINKING, use_responses_api=True)
    check(isinstance(model.invoke("hello").text, str), "LangChain: through responses")
    vectors = OpenAIEmbeddings(model="model", base_url=url, api_key="none", check_embedding_ctx_length=False).embed_documents(["a", "b"])
    check(len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 0, "LangChain: embeddings")


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
            for part in (sampling, streaming, formats, tools, responses, embeddings):
                part(client)
            langchain(server.url)
        finally:
            check(server.stop() == 0, "the server ends in order")
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
