"""What the original computes from rope parameters: frequencies, cos/sin multiplier, softmax scale."""

from transformers import DeepseekV3Config, LlamaConfig, Qwen2Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3Attention, DeepseekV3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2RotaryEmbedding


def _yarn(factor, original, mscale, mscale_all_dim):
    return {
        "rope_type": "yarn", "rope_theta": 10000.0, "factor": factor, "beta_fast": 32, "beta_slow": 1,
        "original_max_position_embeddings": original, "mscale": mscale, "mscale_all_dim": mscale_all_dim,
    }


_CASES = {
    "deepseek_v3": _yarn(40, 4096, 1.0, 1.0),
    "deepseek_v2_lite": _yarn(40, 4096, 0.707, 0.707),
    "mscale_differs_from_mscale_all_dim": _yarn(40, 4096, 1.0, 0.5),
    "mscale_all_dim_zero": _yarn(40, 4096, 1.0, 0.0),
    "factor_4_original_2048": _yarn(4, 2048, 1.0, 1.0),
    "no_yarn": {"rope_type": "default", "rope_theta": 10000.0},
}

def _llama3(theta, factor):
    return {
        "rope_type": "llama3", "rope_theta": theta, "factor": factor, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    }


_GROUPED_CASES = {
    "llama_3.1": (LlamaConfig, LlamaAttention, LlamaRotaryEmbedding, 128, _llama3(500000.0, 8.0)),
    "llama_3.2_1b": (LlamaConfig, LlamaAttention, LlamaRotaryEmbedding, 64, _llama3(500000.0, 32.0)),
    "llama_3": (
        LlamaConfig, LlamaAttention, LlamaRotaryEmbedding, 128, {"rope_type": "default", "rope_theta": 500000.0}
    ),
    "qwen2.5_yarn": (
        Qwen2Config, Qwen2Attention, Qwen2RotaryEmbedding, 128,
        {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "qwen2.5_yarn_attention_factor": (
        Qwen2Config, Qwen2Attention, Qwen2RotaryEmbedding, 128,
        {
            "rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768,
            "attention_factor": 1.25,
        },
    ),
}


def _grouped_rows():
    result = []
    for name, (Config, Attention, Rotary, head_dim, parameters) in _GROUPED_CASES.items():
        config = Config(
            hidden_size=head_dim, num_attention_heads=1, num_key_value_heads=1, head_dim=head_dim,
            num_hidden_layers=1, max_position_embeddings=131072, rope_parameters=dict(parameters),
        )
        rotary = Rotary(config)
        result.append({
            "name": name,
            "model_type": config.model_type,
            "head_dim": head_dim,
            "rope_parameters": parameters,
            "inv_freq": rotary.inv_freq.tolist(),
            "cos_sin_multiplier": rotary.attention_scaling,
            "softmax_scale": Attention(config, layer_idx=0).scaling,
        })
    return result


def rows():
    """DeepSeek: head sizes of V3, V2 and V2-Lite alike: 128 without and 64 with rotation, so 32 frequencies."""
    result = []
    for name, parameters in _CASES.items():
        length = int(parameters.get("factor", 1) * parameters.get("original_max_position_embeddings", 4096))
        config = DeepseekV3Config(
            hidden_size=8, num_attention_heads=1, num_key_value_heads=1, q_lora_rank=None, kv_lora_rank=8,
            v_head_dim=8, qk_nope_head_dim=128, qk_rope_head_dim=64, max_position_embeddings=length,
            rope_parameters=dict(parameters),
        )
        rotary = DeepseekV3RotaryEmbedding(config)
        result.append({
            "name": name,
            "model_type": "deepseek_v3",
            "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64,
            "rope_parameters": parameters,
            "inv_freq": rotary.inv_freq.tolist(),
            "cos_sin_multiplier": rotary.attention_scaling,
            "softmax_scale": DeepseekV3Attention(config, layer_idx=0).scaling,
        })
    return result + _grouped_rows()
