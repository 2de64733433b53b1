"""Runs the original DeepSeek-V3 code of transformers in float64.

That code casts to float32 in places (norms, router, softmax, rotary angles) by naming torch.float32.
Inside `double_precision()` its module sees a `torch` whose float32 is float64, so that nothing is
rounded to 24 bits on the way; the code itself is not changed. The rotary frequencies stay the float32
numbers that the original computes when a model is built.
"""

import contextlib
import types

import torch
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as original


class _Float64Torch(types.ModuleType):
    float32 = torch.float64
    float = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def double_precision():
    original.torch = _Float64Torch("torch")
    try:
        yield
    finally:
        original.torch = torch
