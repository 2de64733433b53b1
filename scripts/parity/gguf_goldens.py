#!/usr/bin/env python3
"""Makes tests/golden/formats/gguf_blocks.json with the originals: the package gguf decodes blocks of every format and
encodes Q8_0, llama.cpp's library encodes Q4_K and Q6_K.

  scripts/parity/gguf_goldens.py [--out tests/golden/formats] [--venv build/llama-cpp-venv]

`decoded`: for each format, blocks of random bits (with scales that are ordinary numbers) and what they mean, as the
bits of f32 numbers. `encoded`: f32 numbers, the blocks of Q8_0, and the root mean square error of Q4_K and Q6_K.
"""

import argparse
import ctypes
import json
import pathlib

import gguf_llama_cpp
import own_venv

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/formats"))
ARGUMENTS.add_argument("--venv", type=pathlib.Path, default=gguf_llama_cpp.VENV)

FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where each format's blocks have numbers in half precision.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q6_K": [208]}
ELEMENTS = 512


def main():
    arguments = ARGUMENTS.parse_args()
    own_venv.enter(arguments.venv, gguf_llama_cpp.PACKAGES)
    import gguf
    import llama_cpp
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    random = np.random.default_rng(20)
    decoded = {}
    for name in FORMATS:
        kind = GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (ELEMENTS // elements, size), dtype=np.uint8)
        for offset in HALVES[name]:
            scales = random.normal(0, 0.05, len(blocks)).astype(np.float16)
            scales[0] = np.float16(3e-7)  # subnormal
            blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(-1, 2)
        values = quants.dequantize(blocks.reshape(1, -1), kind).astype(np.float32).reshape(-1)
        decoded[name] = {"blocks": blocks.tobytes().hex(), "values": values.tobytes().hex()}

    library = ctypes.CDLL(str(next(pathlib.Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so"))))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    # Weights as they are: about normal, some rows with outliers, one row of zeros, one shifted.
    values = random.normal(0, 0.02, (16, 256)).astype(np.float32)
    values[4:8] = random.standard_t(3, (4, 256)) * 0.02
    values[8] = 0
    values[9] += 0.05
    encoded = {"values": values.tobytes().hex()}
    encoded["Q8_0"] = quants.quantize(values, GGMLQuantizationType.Q8_0).tobytes().hex()
    for name in ["Q4_K", "Q6_K"]:
        kind = GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        out = np.zeros(values.size // elements * size, dtype=np.uint8)
        library.ggml_quantize_chunk(int(kind), values.ctypes.data, out.ctypes.data, 0, values.shape[0], 256, None)
        error = quants.dequantize(out.reshape(16, -1), kind) - values
        encoded[name + "_rmse"] = float(np.sqrt((error.astype(np.float64) ** 2).mean()))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "gguf_blocks.json").write_text(json.dumps({"decoded": decoded, "encoded": encoded}, indent=1))


if __name__ == "__main__":
    main()
