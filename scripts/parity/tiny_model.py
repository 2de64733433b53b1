"""Tiny random models: weights, original tensor names, and what the routers decided."""

import json
import pathlib

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import (
    DeepseekV3DecoderLayer,
    DeepseekV3RMSNorm,
    DeepseekV3TopkRouter,
)
from transformers.masking_utils import create_causal_mask


class MtpModule(torch.nn.Module):
    """One multi-token prediction module, with the released weights' names and order of concatenation.

    h'_i = eh_proj([enorm(emb(t_{i+1})); hnorm(h_i)]), h_i the main model's output after its final norm;
    then one decoder layer at positions i, then shared_head.norm. The caller applies the main model's head
    and gets logits for t_{i+2}.
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.enorm = DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.hnorm = DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.eh_proj = torch.nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = DeepseekV3DecoderLayer(config, layer_idx=config.num_hidden_layers)
        self.shared_head_norm = DeepseekV3RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(self, next_embedding, hidden, rotary):
        """next_embedding, hidden: [1, T, hidden] (row i: emb(t_{i+1}), h_i) -> [1, T, hidden]."""
        x = self.eh_proj(torch.cat([self.enorm(next_embedding), self.hnorm(hidden)], dim=-1))
        positions = torch.arange(x.shape[1])[None]
        mask = create_causal_mask(
            config=self.config, inputs_embeds=x, attention_mask=None, past_key_values=None,
            position_ids=positions,
        )
        x = self.block(
            x, attention_mask=mask, position_ids=positions, position_embeddings=rotary(x, positions)
        )
        return self.shared_head_norm(x)


class TinyModel(torch.nn.Module):
    """The original model, with an MTP module of ours where the configuration asks for one."""

    def __init__(self, config):
        super().__init__()
        config._experts_implementation = "eager"
        self.main = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        self.mtp = MtpModule(config) if getattr(config, "num_nextn_predict_layers", 0) else None

    def forward(self, ids):
        """ids: [T] -> logits [T, V] of t_{i+1}, MTP logits [T-1, V] of t_{i+2} or None."""
        hidden = self.main.model(input_ids=ids[None], use_cache=False).last_hidden_state
        logits = self.main.lm_head(hidden)[0]
        if self.mtp is None:
            return logits, None
        embedding = self.main.model.embed_tokens(ids[None, 1:])
        output = self.mtp(embedding, hidden[:, :-1], self.main.model.rotary_emb)
        return logits, self.main.lm_head(output)[0]


def random_weights(model, seed):
    """Weights large enough that logits are of order 1 and routing is decisive; norm gains around 1, biases around 0."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, mean, std):
        tensor.copy_(mean + std * torch.randn(tensor.shape, generator=generator))

    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                # A tied embedding is the head too, whose products have to stay of order 1.
                normal(tensor, 0.0, 1.2 / tensor.shape[-1] ** 0.5 if model.main.config.tie_word_embeddings else 1.0)
            elif name.endswith(".bias"):
                normal(tensor, 0.0, 0.5)
            elif tensor.dim() == 1:
                normal(tensor, 1.0, 0.25)
            else:
                normal(tensor, 0.0, 1.2 / tensor.shape[-1] ** 0.5)
        for name, tensor in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                normal(tensor, 0.0, 0.1)


def original_names(config, tensors):
    """Splits the fused experts of transformers and gives every tensor its name in the released weights."""
    result = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("main.")
        if name.startswith("mtp."):
            prefix = f"model.layers.{config.num_hidden_layers}."
            name = name.replace("mtp.block.", prefix).replace("mtp.shared_head_norm.", prefix + "shared_head.norm.")
            name = name.replace("mtp.", prefix)
        if name.endswith("mlp.experts.gate_up_proj"):
            for expert, fused in enumerate(tensor):
                gate, up = fused.chunk(2, dim=0)
                base = name.removesuffix("gate_up_proj") + f"{expert}."
                result[base + "gate_proj.weight"] = gate.contiguous()
                result[base + "up_proj.weight"] = up.contiguous()
        elif name.endswith("mlp.experts.down_proj"):
            for expert, down in enumerate(tensor):
                base = name.removesuffix("down_proj") + f"{expert}."
                result[base + "down_proj.weight"] = down.contiguous()
        else:
            result[name] = tensor.contiguous()
    return result


def save_model(model, config_json, directory):
    """Writes config.json and model.safetensors; checks the names against those transformers itself saves.

    config_json: a dictionary to write, or None for what transformers writes.
    """
    directory = pathlib.Path(directory)
    config = model.main.config
    model.main.save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    weights = original_names(config, {k: v.detach() for k, v in model.state_dict().items()})
    if config.tie_word_embeddings:
        del weights["lm_head.weight"]
    saved = safetensors.torch.load_file(directory / "model.safetensors")
    ours = {k: v for k, v in weights.items() if not k.startswith(f"model.layers.{config.num_hidden_layers}.")}
    assert saved.keys() == ours.keys(), saved.keys() ^ ours.keys()
    assert all(torch.equal(saved[name], ours[name]) for name in saved)
    if model.mtp is not None:
        prefix = f"model.layers.{config.num_hidden_layers}."
        weights[prefix + "embed_tokens.weight"] = weights["model.embed_tokens.weight"].clone()
        weights[prefix + "shared_head.head.weight"] = weights["lm_head.weight"].clone()
    safetensors.torch.save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "model.safetensors").chmod(0o644)
    if config_json is not None:
        (directory / "config.json").write_text(json.dumps(config_json, indent=2) + "\n")


class RouterProbe:
    """Records every router decision of a forward pass: experts, weights, and by how much it was decided."""

    def __init__(self, model):
        self.records = {}  # layer -> list, one per sequence, of (experts [T, K] ascending, weights [T, K])
        self.margin = float("inf")  # smallest gap between a chosen and a refused group or expert
        self.changed = 0  # tokens whose experts would differ without the correction bias
        self.tokens = 0
        self.handles = []
        layer = 0
        for name, module in model.named_modules():
            if isinstance(module, (DeepseekV2TopkRouter, DeepseekV3TopkRouter)):
                layer = model.main.config.num_hidden_layers if name.startswith("mtp.") else int(name.split(".")[3])
                self.handles.append(module.register_forward_hook(self._hook(layer)))

    def close(self):
        for handle in self.handles:
            handle.remove()

    def _choose(self, router, scores):
        """-> (chosen [T, E] as booleans, smallest gap of any decision)."""
        v3 = isinstance(router, DeepseekV3TopkRouter)
        groups = router.num_group if v3 or router.topk_method == "group_limited_greedy" else 1
        best = 2 if v3 else 1
        grouped = scores.view(len(scores), groups, -1)
        group_scores = grouped.topk(best, dim=-1)[0].sum(-1).sort(dim=-1, descending=True)
        gap = float("inf")
        if groups > 1 and router.topk_group < groups:
            values = group_scores.values
            gap = (values[:, router.topk_group - 1] - values[:, router.topk_group]).min().item()
        allowed = torch.zeros_like(grouped, dtype=torch.bool)
        allowed.scatter_(1, group_scores.indices[:, : router.topk_group if groups > 1 else 1, None].expand(-1, -1, grouped.shape[2]), True)
        masked = scores.masked_fill(~allowed.view_as(scores), float("-inf")).sort(dim=-1, descending=True)
        gap = min(gap, (masked.values[:, router.top_k - 1] - masked.values[:, router.top_k]).min().item())
        chosen = torch.zeros_like(scores, dtype=torch.bool)
        chosen.scatter_(1, masked.indices[:, : router.top_k], True)
        return chosen, gap

    def _hook(self, layer):
        def hook(router, inputs, outputs):
            logits, weights, experts = (x.detach() for x in outputs)
            if isinstance(router, DeepseekV3TopkRouter):
                scores = logits.sigmoid()
                chosen, gap = self._choose(router, scores + router.e_score_correction_bias)
            else:
                scores = logits.softmax(-1)
                chosen, gap = self._choose(router, scores)
            order = experts.argsort(dim=-1)
            experts = experts.gather(1, order)
            assert torch.equal(chosen.nonzero()[:, 1].view_as(experts), experts)
            unbiased, _ = self._choose(router, scores)
            self.margin = min(self.margin, gap)
            self.changed += (chosen != unbiased).any(-1).sum().item()
            self.tokens += len(scores)
            self.records.setdefault(layer, []).append((experts, weights.gather(1, order)))

        return hook

    def every_expert_used(self, config):
        return all(
            torch.cat([experts for experts, _ in sequences]).unique().numel() == config.n_routed_experts
            for sequences in self.records.values()
        )
