"""Runs the original code of transformers in float64.

That code casts to float32 in places (norms, router, softmax, rotary angles) by naming torch.float32 or
calling Tensor.float(). Inside `double_precision()` its modules see a `torch` whose float32 is float64, and
Tensor.float() is Tensor.double(), so that nothing is rounded to 24 bits on the way; the code itself is not
changed. The rotary frequencies stay the float32 numbers that the original computes when a model is built.
"""

import contextlib
import types

import torch
from transformers.models.deepseek_v2 import modeling_deepseek_v2
from transformers.models.deepseek_v3 import modeling_deepseek_v3
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2

ORIGINALS = (modeling_deepseek_v2, modeling_deepseek_v3, modeling_llama, modeling_qwen2)


class _Float64Torch(types.ModuleType):
    float32 = torch.float64
    float = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def double_precision():
    single = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double
    for original in ORIGINALS:
        original.torch = _Float64Torch("torch")
    try:
        yield
    finally:
        torch.Tensor.float = single
        for original in ORIGINALS:
            original.torch = torch
