"""What is trained. A cell is one `fathom train` run: base.toml with a few keys changed, and a seed.

Groups of cells share everything but what their claim is about, so that a seed's cells read the same text in the same
order from the same initial weights wherever the shapes allow it.
"""

from dataclasses import dataclass

SEEDS = (1, 2, 3)
PROOF_STEPS = 2500  # x 4096 = 10.24 M tokens


@dataclass(frozen=True)
class Variant:
    """A way to train; with a seed it is a cell."""

    name: str
    about: str
    settings: tuple = ()
    model: str = "moe"

    def cell(self, seed):
        return f"{self.name}-s{seed}"


# DeepSeek-V3's learning rate. At higher ones runs that differ in the order of sums alone ended more than 0.1 %
# apart (docs/claims.md, end).
PROOF = (f"steps={PROOF_STEPS}", "optimizer.lr=2.2e-4")

# Groups are run one after the other, in a group seed by seed: a stopped run leaves whole comparisons.
GROUPS = (
    # The FP8 proof. The control is the same run in the same recipe with gradients summed in another order.
    (Variant("proof-bf16", "bf16", PROOF),
     Variant("proof-control", "bf16, gradients summed over two micro-batches", PROOF + ("micro_batch_tokens=2048",)),
     Variant("proof-fp8", "FP8", PROOF + ("precision.recipe=fp8",))),
    # The rest is shorter.
    (Variant("moe", "experts, bias balancing"),
     Variant("dense", "dense, latent attention", model="dense-mla")),
    (Variant("fp8", "FP8 with tiles", ("precision.recipe=fp8",)),
     Variant("fp8-tensor", "FP8 with one scale a tensor", ("precision.recipe=fp8", "precision.scales=tensor")),
     Variant("outliers", "moe's models with outlier features, in every recipe")),
    (Variant("balance-aux", "auxiliary loss alone", ("balance.bias_speed=0", "balance.sequence_alpha=0.003")),
     Variant("balance-none", "no balancing", ("balance.bias_speed=0", "balance.sequence_alpha=0"))),
    (Variant("mtp", "one MTP module", ("model.mtp=true",)),),
    (Variant("mha", "dense, multi-head attention", model="dense-mha"),
     Variant("gqa", "dense, grouped-query attention", model="dense-gqa")),
)
VARIANTS = tuple(variant for group in GROUPS for variant in group)


def all_cells():
    """(cell, variant, seed) in the order in which they are run."""
    for group in GROUPS:
        for seed in SEEDS:
            for variant in group:
                yield variant.cell(seed), variant, seed


def settings(variant, seed, root):
    return [f"seed={seed}", f"model.config={root}/scripts/claims/models/{variant.model}.json", *variant.settings]
