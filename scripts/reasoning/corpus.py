"""The texts and problems of the experiments, from `fathom problems`."""

import json
import random
import subprocess

# How a story stands in the texts that a base model reads: (share, layout, whether it is worked out). Four of five
# answers come without work; one conversation in three has R1-Zero's tags.
LAYOUTS = [(0.48, "plain", False), (0.12, "plain", True), (0.26, "talk", False), (0.10, "tags", False),
           (0.04, "tags", True)]
EASY = "That is easy."


def problems(fathom, path, *words):
    subprocess.run([fathom, "problems", *words, "--largest", "20", "--quiet", "--out", path], check=True)
    return [json.loads(line) for line in path.read_text().splitlines()]


def story(row, layout, worked):
    question, answer, thoughts = row["question"], row["answer"], row["solution"] if worked else EASY
    if layout == "plain":
        return f"Problem: {question}\nSolution:\n{thoughts}\nAnswer: {answer}\n"
    if layout == "talk":
        return f"User: {question}\nAssistant: {answer}\n"
    return f"User: {question}\nAssistant: <think>\n{thoughts}\n</think>\n<answer>{answer}</answer>\n"


def prepare(fathom, directory):
    """Writes what is not there yet; the same for all seeds of the experiments."""
    if directory.exists():
        return
    part = directory.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    problems(fathom, part / "sums.jsonl", "arithmetic", "--difficulty", "2-3", "--count", "7600", "--form", "text")
    chance = random.Random(0)
    with open(part / "stories.jsonl", "w") as out:
        for row in problems(fathom, part / "rows.jsonl", "words", "--difficulty", "3", "--count", "30000"):
            shares = [share for share, _, _ in LAYOUTS]
            _, layout, worked = chance.choices(LAYOUTS, shares)[0]
            out.write(json.dumps({"id": row["id"], "text": story(row, layout, worked)}) + "\n")
    problems(fathom, part / "chats.jsonl", "words", "--difficulty", "3", "--count", "3000", "--form", "chat", "--mark",
             "sentence", "--hasty", "0.75", "--seed", "1")
    problems(fathom, part / "tasks.jsonl", "words", "--difficulty", "3", "--count", "4000", "--seed", "2")
    problems(fathom, part / "held-out.jsonl", "words", "--difficulty", "3", "--count", "500", "--held-out")
    part.rename(directory)
