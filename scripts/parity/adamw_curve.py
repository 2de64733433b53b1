"""Ten steps of torch.optim.AdamW on fixed sequences, in float64: the curve Fathom's trainer must follow."""

import copy
import math

import torch

from float64 import double_precision
from tiny_model import RouterProbe, original_names

STEPS, WARMUP, PEAK, FLOOR = 10, 3, 1e-2, 1e-3
MARGIN = 1e-4  # smallest router margin accepted while training


def learning_rates():
    """Linear warm-up over 3 steps, then a cosine that reaches the floor in the last one."""
    rates = []
    for step in range(1, STEPS + 1):
        if step <= WARMUP:
            rates.append(PEAK * step / WARMUP)
        else:
            progress = (step - WARMUP) / (STEPS - WARMUP)
            rates.append(FLOOR + 0.5 * (PEAK - FLOOR) * (1 + math.cos(math.pi * progress)))
    return rates


def _run(model, sequences, losses):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=0.0, betas=(0.9, 0.95), eps=1e-8, foreach=False,
    )
    probe = RouterProbe(model)
    curve, norms = [], []
    for rate in learning_rates():
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, _ = losses([model(ids) for ids in sequences], sequences)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=False).item())
        optimizer.step()
        curve.append(loss.item())
    with torch.no_grad():
        curve.append(losses([model(ids) for ids in sequences], sequences)[0].item())
    probe.close()
    return curve, norms, probe.margin


def train(start, sequences, losses):
    """-> the contents of adamw.json, or None where a router decision came too close while training."""
    model = copy.deepcopy(start).double()
    with double_precision():
        curve, norms, margin = _run(model, sequences, losses)
    if margin < MARGIN:
        return None
    single, _, _ = _run(copy.deepcopy(start), sequences, losses)
    config = start.main.config
    before = original_names(config, {k: p.detach().double() for k, p in start.named_parameters()})
    after = original_names(config, {k: p.detach() for k, p in model.named_parameters()})
    return {
        "what": "torch.optim.AdamW on this directory's model and on seq0 and seq1 of expected.safetensors, both in "
        "every step, each attending only to itself; loss = mean over all predicted positions; computed in float64",
        "betas": [0.9, 0.95],
        "eps": 1e-8,
        "weight_decay": {"matrices, embedding, head, router, experts": 0.1, "norm gains": 0.0},
        "clip_global_norm": 1.0,
        "correction_bias": "constant",
        "learning_rates": learning_rates(),
        "losses": curve,
        "losses_are": "before each of the 10 steps, and after the last (11 numbers)",
        "gradient_norms_before_clipping": norms,
        "smallest_router_margin": margin,
        "float32_loss_max_difference": max(abs(a - b) for a, b in zip(single, curve)),
        "change_norm": {name: (after[name] - before[name]).norm().item() for name in before},
    }
