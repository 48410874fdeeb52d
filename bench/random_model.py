#!/usr/bin/env python3
"""Write a Q8_0 model of random weights and realistic width, for speed and memory:
random_model.py OUT FAMILY [LAYERS [NAME=VALUE ...]]
FAMILY is one of those in models() below, NAME one of its sizes; e.g.
random_model.py 30b.gguf experts 48                  (30 G weights, 32 GB)
random_model.py small.gguf mla 3 experts=32
random_model.py ahead.gguf delta 5 nextn=1           (the last of the five predicts ahead)
Vocabulary: a token for each byte, so any text works.
"""
import sys

import gguf
import numpy as np

VOCABULARY = 512


def gated(width, hidden):
    return {"ffn_gate": (width, hidden), "ffn_up": (width, hidden), "ffn_down": (hidden, width)}


def experts(n, width, hidden, shared=0):
    tensors = {"ffn_gate_inp": (n, hidden), "ffn_gate_exps": (n, width, hidden), "ffn_up_exps": (n, width, hidden),
               "ffn_down_exps": (n, hidden, width)}
    if shared:
        tensors |= {name + "_shexp": shape for name, shape in gated(shared, hidden).items()}
    return tensors


def qkv(hidden, q, kv, out):
    return {"attn_q": (q, hidden), "attn_k": (kv, hidden), "attn_v": (kv, hidden), "attn_output": (hidden, out)}


class Model:
    """Architecture, default sizes, keys and tensors; shapes slowest first. Tensors of a layer without ".weight"
    behind their names, unless they end in a part of their own."""

    def __init__(self, arch, layers, sizes, keys, layer, ends=None):
        self.arch, self.layers, self.sizes = arch, layers, sizes
        self.keys, self.layer, self.ends = keys, layer, ends or (lambda s: {})


def qwen3moe():  # Qwen3-30B-A3B
    def keys(s, n):
        return {"attention.head_count": s["hidden"] // 64, "attention.head_count_kv": 4, "attention.key_length": 128,
                "attention.value_length": 128, "rope.freq_base": 1e6, "feed_forward_length": s["ffn"],
                "expert_feed_forward_length": s["ffn"], "expert_count": s["experts"], "expert_used_count": s["used"]}

    def layer(s, i):
        h = s["hidden"]
        return {"attn_norm": (h,), "attn_q_norm": (128,), "attn_k_norm": (128,), "ffn_norm": (h,),
                **qkv(h, 2 * h, 512, 2 * h), **experts(s["experts"], s["ffn"], h)}

    return Model("qwen3moe", 48, {"hidden": 2048, "ffn": 768, "experts": 128, "used": 8}, keys, layer)


def mla():  # DeepSeek-V2
    rank, rope, nope = 512, 64, 128

    def keys(s, n):
        return {"attention.head_count": s["heads"], "attention.head_count_kv": 1, "attention.key_length": rank + rope,
                "attention.value_length": rank, "attention.key_length_mla": nope + rope,
                "attention.value_length_mla": nope, "attention.q_lora_rank": 1536, "attention.kv_lora_rank": rank,
                "rope.dimension_count": rope, "rope.freq_base": 1e4, "feed_forward_length": 12288,
                "leading_dense_block_count": 1, "expert_feed_forward_length": s["ffn"], "expert_count": s["experts"],
                "expert_used_count": s["used"], "expert_shared_count": 2, "expert_gating_func": 1,
                "expert_weights_scale": 16.0}

    def layer(s, i):
        h, heads = s["hidden"], s["heads"]
        block = {"attn_norm": (h,), "attn_q_a": (1536, h), "attn_q_a_norm": (1536,),
                 "attn_q_b": (heads * (nope + rope), 1536), "attn_kv_a_mqa": (rank + rope, h),
                 "attn_kv_a_norm": (rank,), "attn_k_b": (heads, rank, nope), "attn_v_b": (heads, nope, rank),
                 "attn_output": (h, heads * nope), "ffn_norm": (h,)}
        return block | (gated(12288, h) if i == 0 else experts(s["experts"], s["ffn"], h, 2 * s["ffn"]))

    return Model("deepseek2", 3, {"hidden": 5120, "heads": 128, "ffn": 1536, "experts": 160, "used": 6}, keys, layer)


def delta():  # Qwen3.5-9B
    state = 128

    def keys(s, n):
        return {"nextn_predict_layers": s["nextn"], "attention.head_count": 16, "attention.head_count_kv": 4,
                "attention.key_length": 256, "attention.value_length": 256, "rope.dimension_count": 64,
                "rope.dimension_sections": [11, 11, 10, 0],
                "rope.freq_base": 1e7, "feed_forward_length": s["ffn"],
                "ssm.inner_size": s["value_heads"] * state, "ssm.conv_kernel": 4, "ssm.state_size": state,
                "ssm.time_step_rank": s["value_heads"], "ssm.group_count": s["key_heads"]}

    def layer(s, i):
        h, inner, kv = s["hidden"], s["value_heads"] * state, s["key_heads"] * state
        block = {"attn_norm": (h,), "post_attention_norm": (h,), **gated(s["ffn"], h)}
        predicts_ahead = i >= s["layers"] - s["nextn"]
        if predicts_ahead:
            block |= {"nextn.eh_proj": (h, 2 * h), "nextn.enorm": (h,), "nextn.hnorm": (h,),
                      "nextn.shared_head_norm": (h,)}
        if i % 4 == 3 or predicts_ahead:
            return block | {"attn_q_norm": (256,), "attn_k_norm": (256,), **qkv(h, 2 * 4096, 1024, 4096)}
        return block | {"attn_qkv": (2 * kv + inner, h), "attn_gate": (inner, h), "ssm_a": (s["value_heads"],),
                        "ssm_alpha": (s["value_heads"], h), "ssm_beta": (s["value_heads"], h),
                        "ssm_conv1d": (2 * kv + inner, 4), "ssm_dt.bias": (s["value_heads"],), "ssm_norm": (state,),
                        "ssm_out": (h, inner)}

    return Model("qwen35", 8, {"hidden": 4096, "ffn": 12288, "key_heads": 16, "value_heads": 32, "nextn": 0}, keys,
                 layer)


def mamba():  # Granite 4.0 H Small
    def attends(i):
        return i % 10 == 5

    def keys(s, n):
        return {"attention.head_count": 32, "attention.head_count_kv": [8 if attends(i) else 0 for i in range(n)],
                "attention.scale": 32 / s["hidden"], "rope.dimension_count": s["hidden"] // 32, "rope.freq_base": 1e4,
                "rope.scaling.finetuned": False, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 16.0,
                "feed_forward_length": 768, "expert_count": s["experts"], "expert_used_count": s["used"],
                "expert_shared_feed_forward_length": 1536, "ssm.conv_kernel": 4, "ssm.inner_size": s["inner"],
                "ssm.state_size": 128, "ssm.time_step_rank": s["inner"] // 64, "ssm.group_count": 1}

    def layer(s, i):
        h, inner = s["hidden"], s["inner"]
        block = {"attn_norm": (h,), "ffn_norm": (h,), **experts(s["experts"], 768, h, 1536)}
        if attends(i):
            return block | qkv(h, h, h // 4, h)
        heads = inner // 64
        return block | {"ssm_in": (2 * inner + 256 + heads, h), "ssm_conv1d": (inner + 256, 4),
                        "ssm_conv1d.bias": (inner + 256,), "ssm_a": (heads, 1), "ssm_d": (heads, 1),
                        "ssm_dt.bias": (heads,), "ssm_norm": (1, inner), "ssm_out": (h, inner)}

    return Model("granitehybrid", 6, {"hidden": 4096, "inner": 8192, "experts": 72, "used": 10}, keys, layer,
                 lambda s: {"output": None})


def oss():  # gpt-oss-120b
    def keys(s, n):
        return {"attention.head_count": 64, "attention.head_count_kv": 8, "attention.key_length": 64,
                "attention.value_length": 64, "attention.sliding_window": 128, "rope.dimension_count": 64,
                "rope.freq_base": 150000.0, "feed_forward_length": s["ffn"], "expert_feed_forward_length": s["ffn"],
                "expert_count": s["experts"], "expert_used_count": s["used"]}

    def layer(s, i):
        h, n, f = s["hidden"], s["experts"], s["ffn"]
        return {"attn_norm": (h,), "post_attention_norm": (h,), "attn_sinks": (64,), **qkv(h, 4096, 512, 4096),
                "attn_q.bias": (4096,), "attn_k.bias": (512,), "attn_v.bias": (512,), "attn_output.bias": (h,),
                **experts(n, f, h), "ffn_gate_inp.bias": (n,), "ffn_gate_exps.bias": (n, f),
                "ffn_up_exps.bias": (n, f), "ffn_down_exps.bias": (n, h)}

    return Model("gpt-oss", 6, {"hidden": 2880, "ffn": 2880, "experts": 128, "used": 4}, keys, layer)


def hyper():  # hyper-connections: DeepSeek-V4 with fewer experts
    ratios = [0, 4, 128]

    def keys(s, n):
        return {"attention.head_count": s["heads"], "attention.head_count_kv": 1, "attention.key_length": 512,
                "attention.value_length": 512, "rope.dimension_count": 64, "rope.freq_base": 1e4,
                "attention.compress_rope_freq_base": 160000.0, "attention.q_lora_rank": 1024,
                "attention.sliding_window": 128, "attention.output_group_count": 8, "attention.output_lora_rank": 1024,
                "attention.compress_ratios": [ratios[i % 3] for i in range(n)], "attention.indexer.head_count": 64,
                "attention.indexer.key_length": 128, "attention.indexer.top_k": 512, "hyper_connection.count": 4,
                "hyper_connection.sinkhorn_iterations": 20, "hyper_connection.epsilon": 1e-6, "hash_layer_count": 0,
                "feed_forward_length": s["ffn"], "expert_count": s["experts"], "expert_used_count": s["used"],
                "expert_feed_forward_length": s["ffn"], "expert_shared_count": 1, "expert_weights_scale": 1.5,
                "expert_weights_norm": True, "expert_gating_func": 4, "swiglu_clamp_exp": [10.0] * n}

    def layer(s, i):
        h, heads, ratio = s["hidden"], s["heads"], ratios[i % 3]
        block = {"attn_norm": (h,), "ffn_norm": (h,), "attn_q_a": (1024, h), "attn_q_a_norm": (1024,),
                 "attn_q_b": (512 * heads, 1024), "attn_kv": (512, h), "attn_kv_a_norm": (512,),
                 "attn_sinks": (heads,), "attn_output_a": (8 * 1024, 512 * heads // 8),
                 "attn_output_b": (h, 8 * 1024), "exp_probs_b.bias": (s["experts"],),
                 **experts(s["experts"], s["ffn"], h, s["ffn"])}
        for half in ("attn", "ffn"):
            block |= {f"hc_{half}_base": (24,), f"hc_{half}_fn": (24, 4 * h), f"hc_{half}_scale": (3,)}
        if ratio == 0:
            return block
        width = 1024 if ratio == 4 else 512  # blocks of 4 overlap
        block |= {"attn_compressor_ape": (ratio, width), "attn_compressor_gate": (width, h),
                  "attn_compressor_kv": (width, h), "attn_compressor_norm": (512,)}
        if ratio == 4:
            block |= {"indexer.attn_q_b": (64 * 128, 1024), "indexer.proj": (64, h),
                      "indexer_compressor_ape": (4, 256), "indexer_compressor_gate": (256, h),
                      "indexer_compressor_kv": (256, h), "indexer_compressor_norm": (128,)}
        return block

    return Model("deepseek4", 3, {"hidden": 4096, "heads": 64, "ffn": 2048, "experts": 64, "used": 6}, keys, layer,
                 lambda s: {"output_hc_fn": (4, 4 * s["hidden"]), "output_hc_base": (4,), "output_hc_scale": (1,)})


def per_layer():  # per-layer embeddings: Gemma 4 E4B
    def is_full(i):
        return i % 6 == 5

    def keys(s, n):
        return {"attention.head_count": 8, "attention.head_count_kv": 2, "attention.key_length": 512,
                "attention.value_length": 512, "attention.key_length_swa": 256, "attention.value_length_swa": 256,
                "rope.dimension_count": 512, "rope.dimension_count_swa": 256, "rope.freq_base": 1e6,
                "rope.freq_base_swa": 1e4, "attention.sliding_window": 512,
                "attention.sliding_window_pattern": [not is_full(i) for i in range(n)],
                "attention.shared_kv_layers": 0, "final_logit_softcapping": 30.0,
                "embedding_length_per_layer_input": 256, "feed_forward_length": s["ffn"]}

    def layer(s, i):
        h, head = s["hidden"], 512 if is_full(i) else 256
        norms = {name: (h,) for name in ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm", "post_norm")}
        return norms | {"attn_q_norm": (head,), "attn_k_norm": (head,), "layer_output_scale": (1,),
                        **qkv(h, 8 * head, 2 * head, 8 * head), **gated(s["ffn"], h), "inp_gate": (256, h),
                        "proj": (h, 256)}

    return Model("gemma4", 12, {"hidden": 2560, "ffn": 10240}, keys, layer,
                 lambda s: {"output": None, "per_layer_token_embd": (VOCABULARY, 256 * s["layers"]),
                            "per_layer_model_proj": (256 * s["layers"], s["hidden"]), "per_layer_proj_norm": (256,),
                            "rope_freqs": (256,)})


def models():
    return {"experts": qwen3moe(), "mla": mla(), "delta": delta(), "mamba": mamba(), "oss": oss(), "hyper": hyper(),
            "per-layer": per_layer()}


def add_keys(w, model, sizes):
    for name, value in model.keys(sizes, sizes["layers"]).items():
        key = f"{model.arch}.{name}"
        add = {bool: w.add_bool, int: w.add_uint32, float: w.add_float32, list: w.add_array}[type(value)]
        add(key, value)
    w.add_context_length(8192)
    w.add_embedding_length(sizes["hidden"])
    w.add_block_count(sizes["layers"])
    w.add_layer_norm_rms_eps(1e-6)


def add_vocabulary(w):
    # GPT-2's printable stand-ins for bytes (Radford et al. 2019, byte-level BPE).
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    stand_in = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    tokens = ["<s>", "</s>", *(stand_in[b] for b in range(256)), "th"]
    tokens += [f"<unused{i}>" for i in range(VOCABULARY - len(tokens))]
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(tokens)
    w.add_token_types([3, 3] + [1] * (VOCABULARY - 2))
    w.add_token_merges(["t h"])
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)
    w.add_add_bos_token(True)


def list_tensors(model, sizes):
    hidden = sizes["hidden"]
    ends = {"token_embd": (VOCABULARY, hidden), "output_norm": (hidden,), "output": (VOCABULARY, hidden)}
    ends |= model.ends(sizes)
    tensors = [(name + ".weight", shape) for name, shape in ends.items() if shape is not None]
    bare = {"ssm_a", "ssm_d"}  # stored without a last part
    for i in range(sizes["layers"]):
        for name, shape in model.layer(sizes, i).items():
            whole = name if name in bare or name.endswith(".bias") else name + ".weight"
            tensors.append((f"blk.{i}.{whole}", shape))
    return tensors


def is_f32(name, shape):
    return (len(shape) == 1 or shape[-1] % 32 != 0 or not name.endswith(".weight") or "_norm" in name or
            any(part in name for part in ("ffn_gate_inp", "ssm_conv1d", "hc_", "_ape")))


random = np.random.default_rng(1)
POOL = 1 << 22  # blocks; tensors take runs of it from random starts
levels = random.integers(-127, 128, (POOL, 32), dtype=np.int8)


def q8_0(rows, cols):
    """Bytes of rows x cols weights of deviation 1/sqrt(cols), at most POOL blocks at a time."""
    blocks = rows * cols // 32
    scale = np.float16(cols**-0.5 / 73.3).tobytes()  # 73.3: deviation of the levels
    while blocks > 0:
        start = int(random.integers(0, POOL // 2))
        n = min(blocks, POOL - start)
        piece = np.empty((n, 34), np.uint8)
        piece[:, :2] = np.frombuffer(scale, np.uint8)
        piece[:, 2:] = levels[start : start + n].view(np.uint8)
        yield piece
        blocks -= n


def small(name, shape):
    """f32 values as a trained model has them, roughly: norms of 1, decays below 0, biases near 0."""
    if name.endswith("ssm_a"):
        return -np.exp(random.uniform(-2, 1, shape)).astype(np.float32)
    if "norm" in name or name.endswith(("ssm_d", "_scale.weight", "rope_freqs.weight")):
        return np.ones(shape, np.float32)
    return (random.standard_normal(shape, np.float32) * shape[-1] ** -0.5).astype(np.float32)


def write(out, model, sizes):
    w = gguf.GGUFWriter(out, model.arch)
    add_keys(w, model, sizes)
    add_vocabulary(w)
    tensors = list_tensors(model, sizes)
    for name, shape in tensors:
        size = int(np.prod(shape))
        if is_f32(name, shape):
            w.add_tensor_info(name, shape, np.dtype(np.float32), 4 * size, gguf.GGMLQuantizationType.F32)
        else:
            stored = (*shape[:-1], shape[-1] // 32 * 34)
            w.add_tensor_info(name, stored, np.dtype(np.uint8), size // 32 * 34, gguf.GGMLQuantizationType.Q8_0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    file = w.fout[0]
    w.write_padding(file, file.tell())
    for name, shape in tensors:
        if is_f32(name, shape):
            file.write(small(name, shape).tobytes())
        else:
            for piece in q8_0(int(np.prod(shape[:-1])), shape[-1]):
                file.write(piece.tobytes())
        w.write_padding(file, file.tell())
    w.close()


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in models():
        sys.exit(f"{__doc__}families: {', '.join(models())}")
    model = models()[sys.argv[2]]
    layers = int(sys.argv[3]) if len(sys.argv) > 3 else model.layers
    given = dict(pair.split("=") for pair in sys.argv[4:])
    if unknown := given.keys() - model.sizes.keys():
        sys.exit(f"{sys.argv[2]} has no size {', '.join(unknown)}; it has {', '.join(model.sizes)}")
    write(sys.argv[1], model, model.sizes | {"layers": layers} | {k: int(v) for k, v in given.items()})


main()
