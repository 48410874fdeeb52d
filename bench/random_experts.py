#!/usr/bin/env python3
"""Write a Q8_0 model of random weights with experts, for speed and memory:
random_experts.py OUT LAYERS HIDDEN EXPERT_FFN EXPERTS USED
e.g. random_experts.py 30b.gguf 48 2048 768 128 8     (30 G weights, 32 GB)
Architecture qwen3moe, heads of 128. Vocabulary: a token for each byte, so any text works.
"""
import sys

import gguf
import numpy as np

out = sys.argv[1]
layers, hidden, ffn, experts, used = map(int, sys.argv[2:7])
head, heads, kv_heads, vocabulary = 128, hidden // 64, 4, 512

# GPT-2's printable stand-ins for bytes (Radford et al. 2019, byte-level BPE).
printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
others = [b for b in range(256) if b not in printable]
stand_in = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
tokens = ["<s>", "</s>", *(stand_in[b] for b in range(256)), "th"]
tokens += [f"<unused{i}>" for i in range(vocabulary - len(tokens))]

w = gguf.GGUFWriter(out, "qwen3moe")
w.add_context_length(8192)
w.add_embedding_length(hidden)
w.add_block_count(layers)
w.add_feed_forward_length(ffn)
w.add_expert_feed_forward_length(ffn)
w.add_expert_count(experts)
w.add_expert_used_count(used)
w.add_head_count(heads)
w.add_head_count_kv(kv_heads)
w.add_key_length(head)
w.add_value_length(head)
w.add_layer_norm_rms_eps(1e-6)
w.add_rope_freq_base(1e6)
w.add_tokenizer_model("gpt2")
w.add_tokenizer_pre("gpt-2")
w.add_token_list(tokens)
w.add_token_types([3, 3] + [1] * (vocabulary - 2))
w.add_token_merges(["t h"])
w.add_bos_token_id(0)
w.add_eos_token_id(1)
w.add_add_bos_token(True)

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


matrices, vectors = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32
tensors = [("token_embd", (vocabulary, hidden)), ("output_norm", (hidden,)), ("output", (vocabulary, hidden))]
for i in range(layers):
    tensors += [(f"blk.{i}.{name}", shape) for name, shape in [
        ("attn_norm", (hidden,)), ("attn_q", (heads * head, hidden)), ("attn_k", (kv_heads * head, hidden)),
        ("attn_v", (kv_heads * head, hidden)), ("attn_q_norm", (head,)), ("attn_k_norm", (head,)),
        ("attn_output", (hidden, heads * head)), ("ffn_norm", (hidden,)), ("ffn_gate_inp", (experts, hidden)),
        ("ffn_gate_exps", (experts, ffn, hidden)), ("ffn_up_exps", (experts, ffn, hidden)),
        ("ffn_down_exps", (experts, hidden, ffn))]]


def is_f32(name, shape):
    return len(shape) == 1 or name.endswith("ffn_gate_inp")


for name, shape in tensors:
    size = int(np.prod(shape))
    if is_f32(name, shape):
        w.add_tensor_info(name + ".weight", shape, np.dtype(np.float32), 4 * size, vectors)
    else:
        stored = (*shape[:-1], shape[-1] // 32 * 34)
        w.add_tensor_info(name + ".weight", stored, np.dtype(np.uint8), size // 32 * 34, matrices)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_ti_data_to_file()
file = w.fout[0]
w.write_padding(file, file.tell())
for name, shape in tensors:
    if len(shape) == 1:
        file.write(np.ones(shape, np.float32).tobytes())
    elif is_f32(name, shape):
        file.write((random.standard_normal(shape, np.float32) * 4 * hidden**-0.5).tobytes())
    else:
        for piece in q8_0(int(np.prod(shape[:-1])), shape[-1]):
            file.write(piece.tobytes())
    w.write_padding(file, file.tell())
w.close()
