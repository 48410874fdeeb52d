"""Writes ik_<type>.bin of this folder: blocks of ik_llama.cpp's types, and what its own functions make of them.

Usage: make_golden_ik.py LIBRARY   (needs numpy; LIBRARY is a shared library with ik_llama.cpp's ggml, 2026-08)
Form as in make_golden.py: u32 count of blocks, the bytes, the weights; for types that store n rows together the bytes
and weights of n rows. Blocks are random bytes under finite scales, among them a denormal and a negative one.
"""
import ctypes
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
HALVES = np.array([0x2A5B, 0x0173, 0xA91C, 0x3C01, 0x8001, 0x2F00, 0xB123, 0x3555], dtype=np.uint16)
FLOATS = np.array([0.0123, -0.5, 3e-39, 1.75, -2e-7, 0.3, 11.0, -0.001], dtype=np.float32)

# name: rows together, weights and bytes of a row's block, bytes before a row's blocks, halves that begin a group's block
TYPES = {
    "q6_0": (1, 32, 26, 0, 1), "iq1_bn": (1, 64, 13, 2, 0), "iq2_bn": (1, 64, 16, 4, 0), "iq2_k": (1, 256, 76, 0, 1),
    "iq3_k": (1, 256, 110, 0, 1), "iq4_k": (1, 256, 144, 0, 1), "iq5_k": (1, 256, 176, 0, 1),
    "iq6_k": (1, 256, 212, 0, 1), "iq4_ks": (1, 256, 136, 4, 0), "iq2_ks": (1, 256, 70, 2, 0),
    "iq4_kss": (1, 256, 128, 4, 0), "q8_KV": (1, 32, 32, 8, 0), "iq5_ks": (1, 256, 168, 4, 0),
    "iq2_kt": (1, 256, 68, 4, 0), "iq3_kt": (1, 256, 100, 4, 0), "iq4_kt": (1, 256, 128, 4, 0),
    "iq3_ks": (1, 256, 102, 2, 0), "iq2_kl": (1, 256, 86, 2, 0), "iq1_kt": (1, 256, 56, 4, 0),
    "q4_0_r8": (8, 32, 18, 0, 8), "q5_0_r4": (4, 32, 22, 0, 4), "q8_0_r8": (8, 32, 34, 0, 8),
    "q2_k_r4": (4, 256, 84, 0, 8), "q3_k_r4": (4, 256, 110, 0, 4), "q4_k_r4": (4, 256, 144, 0, 8),
    "q5_k_r4": (4, 256, 176, 0, 8), "q6_k_r4": (4, 256, 210, 0, 4), "iq2_xxs_r4": (4, 256, 66, 0, 4),
    "iq2_xs_r4": (4, 256, 74, 0, 4), "iq3_xxs_r4": (4, 256, 98, 0, 4), "iq1_s_r4": (4, 32, 6, 2, 0),
    "iq4_nl_r4": (4, 32, 18, 0, 4), "iq3_s_r4": (4, 256, 110, 0, 4), "iq2_s_r4": (4, 256, 82, 0, 4),
    "iq4_xs_r8": (8, 256, 136, 0, 8), "iq1_m_r4": (4, 32, 7, 2, 0), "bf16_r16": (16, 8, 16, 0, 0),
    "q6_0_r4": (4, 32, 26, 0, 4), "iq2_bn_r4": (4, 64, 16, 4, 0), "iq2_k_r4": (4, 256, 76, 0, 4),
    "iq3_k_r4": (4, 256, 110, 0, 4), "iq4_k_r4": (4, 256, 144, 0, 4), "iq5_k_r4": (4, 256, 176, 0, 4),
    "iq4_ks_r4": (4, 256, 136, 4, 0), "iq5_ks_r4": (4, 256, 168, 4, 0), "mxfp4_r8": (8, 32, 17, 0, 0),
    "q8_k_r16": (16, 256, 258, 0, 16), "q8_KV_r8": (8, 32, 32, 4, 0), "q8_k_r8": (8, 256, 258, 0, 8),
}


def random_group(name: str, count: int, rng: np.random.Generator) -> bytes:
    rows, _, size, meta, halves = TYPES[name]
    scales = rng.integers(0, 256, (rows, meta), dtype=np.uint8)
    for row in range(rows):
        if meta == 2:
            scales[row] = HALVES[row % 8:][:1].view(np.uint8)
        elif meta:
            scales[row, :4] = FLOATS[row % 8:][:1].view(np.uint8)
    blocks = rng.integers(0, 256, (count, rows * size), dtype=np.uint8)
    for b, block in enumerate(blocks):
        block[:2 * halves] = HALVES[(b + np.arange(halves)) % 8].view(np.uint8)
        if name == "mxfp4_r8":
            block[:8] = [0, 1, 2, 96, 127, 200, 120, 130]
        if name == "bf16_r16":
            block[1::2] &= 0xBF
    return scales.tobytes() + blocks.tobytes()


def weights_of(library: ctypes.CDLL, name: str, group: bytes, n: int) -> np.ndarray:
    rows, _, _, meta, _ = TYPES[name]

    def call(function: str, data: bytes, count: int) -> np.ndarray:
        out = np.zeros(count, dtype=np.float32)
        library[f"dequantize_row_{function}"](data, out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(count))
        return out

    if name == "bf16_r16":  # has no such function there: pairs of each row in turn
        bits = np.frombuffer(group, dtype=np.uint16).reshape(n // 2, rows, 2).transpose(1, 0, 2)
        return (bits.astype(np.uint32) << 16).view(np.float32)
    if name == "mxfp4_r8":  # its function there runs eight times too far: row by row through the plain type's
        blocks = np.frombuffer(group, dtype=np.uint8).reshape(-1, 8 * 17)
        codes = blocks[:, 8:].reshape(-1, 4, 8, 4).transpose(2, 0, 1, 3).reshape(8, -1, 16)
        plain = np.concatenate([blocks[:, :8].T[:, :, None], codes], axis=2)
        return np.stack([call("mxfp4", row.tobytes(), n) for row in plain])
    if name in ("iq1_bn", "iq2_bn"):  # these leave the row's scale to the product
        scale = np.frombuffer(group[:meta], dtype=np.float16 if meta == 2 else np.float32).astype(np.float32)
        return scale * call(name, group[meta:], n)
    return call(name, group, rows * n)


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    table = (ctypes.c_float * 65536).in_dll(library, "ggml_table_f32_f16")
    table[:] = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32).tolist()
    rng = np.random.default_rng(20260815)
    for name, (_, block, _, _, _) in TYPES.items():
        count = 1 if block == 256 else 2
        group = random_group(name, count, rng)
        weights = weights_of(library, name, group, count * block).astype(np.float32)
        assert np.isfinite(weights).all(), name
        (HERE / f"ik_{name.lower()}.bin").write_bytes(np.uint32(count).tobytes() + group + weights.tobytes())


main()
