#!/usr/bin/env python3
"""Compares goldens that were made again with the committed ones.

  build/parity-venv/bin/python scripts/parity/compare_goldens.py MADE COMMITTED

On the machine that made the committed ones every file is the same to the byte. Another processor sums in another order, so
numbers may differ there: tensors by 1e-6 of their largest, numbers in JSON by 1e-9 of themselves. How far the original in
float32 strays (`float32...difference`) is a measurement of that machine's and only has to stay below 1e-4.
"""

import json
import pathlib
import sys

import numpy as np
import safetensors.numpy

TENSORS, NUMBERS, MEASURED = 1e-6, 1e-9, 1e-4


def compare_json(made, committed, where):
    """Yields what differs."""
    if isinstance(committed, float) and isinstance(made, (int, float)):
        if where.endswith("difference"):
            if not made < MEASURED:
                yield f"{where} is {made}"
        elif not abs(made - committed) <= NUMBERS * max(abs(made), abs(committed)):
            yield f"{where} is {made}, committed {committed}"
    elif isinstance(committed, dict) and isinstance(made, dict) and made.keys() == committed.keys():
        for key in committed:
            yield from compare_json(made[key], committed[key], f"{where}.{key}")
    elif isinstance(committed, list) and isinstance(made, list) and len(made) == len(committed):
        for i, (a, b) in enumerate(zip(made, committed)):
            yield from compare_json(a, b, f"{where}[{i}]")
    elif made != committed:
        yield f"{where} is another"


def compare_tensors(made, committed, where):
    if made.keys() != committed.keys():
        yield f"{where} has other tensors"
        return
    for name, expected in committed.items():
        actual = made[name]
        if actual.dtype != expected.dtype or actual.shape != expected.shape:
            yield f"{where}: {name} is {actual.dtype} {actual.shape}, committed {expected.dtype} {expected.shape}"
        elif expected.dtype.kind == "f":
            difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max(initial=0)
            if not difference <= TENSORS * np.abs(expected).max(initial=0):
                yield f"{where}: {name} differs by {difference}"
        elif not np.array_equal(actual, expected):
            yield f"{where}: {name} is another"


def compare_file(made, committed, where):
    if made.suffix == ".json":
        yield from compare_json(json.loads(made.read_text()), json.loads(committed.read_text()), where)
        return
    try:
        tensors = [safetensors.numpy.load_file(path) for path in (made, committed)]
    except Exception:  # types that numpy lacks, or no safetensors
        yield f"{where} has other bytes"
        return
    yield from compare_tensors(*tensors, where)


def main():
    made, committed = (pathlib.Path(argument) for argument in sys.argv[1:])
    names = [sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file()) for root in (made, committed)]
    wrong = [f"{name} is only in one of them" for name in sorted(set(names[0]) ^ set(names[1]))]
    close = 0
    for name in sorted(set(names[0]) & set(names[1])):
        if (made / name).read_bytes() == (committed / name).read_bytes():
            continue
        close += 1
        wrong += compare_file(made / name, committed / name, str(name))
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"model goldens: {len(names[1])} files, {len(names[1]) - close} of them the same bytes, {close} the same but for rounding")


if __name__ == "__main__":
    main()
