"""Writes the golden files of this folder with the `gguf` Python package (0.19), the formats' own reference.

Usage: make_golden.py   (needs numpy and gguf)
<type>.bin: u32 count of blocks, the blocks' bytes, then their weights as f32.
Blocks are random bytes; the scale fields are then set so that every weight is finite: an ordinary scale, a
denormal half, a negative one, a large one, in turn.
rows.bin: rows of 256 f32 to encode; encoded_<type>.bin: the package's encoding of them.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants
from gguf.constants import GGML_QUANT_SIZES

HERE = pathlib.Path(__file__).parent
SCALES = np.array([0x2A5B, 0x0173, 0xA91C, 0x3C01, 0x8001, 0x6F00], dtype=np.uint16)  # half bit patterns

# Byte offsets of the half scales in a block.
HALF_AT = {
    T.F16: [], T.BF16: [], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ2_XXS: [0],
    T.IQ2_XS: [0], T.IQ2_S: [0], T.IQ3_XXS: [0], T.IQ3_S: [0], T.IQ1_S: [0], T.IQ1_M: [], T.IQ4_NL: [0],
    T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [], T.NVFP4: [],
}
MX_EXPONENTS = [0, 1, 2, 96, 127, 250]
UE4M3 = [0x00, 0x01, 0x07, 0x08, 0x38, 0x7E, 0x7F, 0x4D, 0x80, 0xFF]


def blocks_of(qtype: T, rng: np.random.Generator) -> np.ndarray:
    weights, size = GGML_QUANT_SIZES[qtype]
    count = {1: 64, 256: 4}.get(weights, 6)
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if weights == 1:  # plain halves: any finite number
        values = np.concatenate([SCALES, rng.integers(0, 0x7C00, count - 6, dtype=np.uint16)])
        return values.view(np.uint8).reshape(count, size)
    for b in range(count):
        for k, at in enumerate(HALF_AT[qtype]):
            blocks[b, at:at + 2] = SCALES[(b + 2 * k) % 6:][:1].view(np.uint8)
        if qtype == T.IQ1_M:  # the scale's nibbles top four words
            for k in range(4):
                blocks[b, 49 + 2 * k] = blocks[b, 49 + 2 * k] & 15 | (int(SCALES[b]) >> 4 * k & 15) << 4
        if qtype == T.MXFP4:
            blocks[b, 0] = MX_EXPONENTS[b]
        if qtype == T.NVFP4:
            blocks[b, :4] = [UE4M3[(4 * b + k) % len(UE4M3)] for k in range(4)]
    return blocks


def rows_to_encode(rng: np.random.Generator) -> np.ndarray:
    rows = rng.normal(0, 0.02, (6, 256)).astype(np.float32)
    rows[1] = rng.uniform(-1, 1, 256)
    rows[2] = rng.uniform(3, 4, 256)  # far from zero
    rows[2, :32] = 3.5  # one value
    rows[3, 32:96] = 0.0
    rows[3, 0:2] = [0.5, -0.5]  # two extremes: the first one counts
    rows[3, 128:160] = np.arange(-8, 8, 0.5)  # ties
    rows[4] *= 1e-6  # scales become denormal halves
    rows[5] *= 1e5
    return rows


def main() -> None:
    rng = np.random.default_rng(20260801)
    for qtype in HALF_AT:
        blocks = blocks_of(qtype, rng)
        with np.errstate(over="ignore"):
            weights = quants.dequantize(blocks, qtype).astype(np.float32)
        assert np.isfinite(weights).all(), qtype.name
        count = np.array([len(blocks)], dtype=np.uint32)
        (HERE / f"{qtype.name.lower()}.bin").write_bytes(count.tobytes() + blocks.tobytes() + weights.tobytes())
    rows = rows_to_encode(rng)
    (HERE / "rows.bin").write_bytes(rows.tobytes())
    for qtype in (T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0):
        encoded = quants.quantize(rows, qtype)
        (HERE / f"encoded_{qtype.name.lower()}.bin").write_bytes(encoded.tobytes())


main()
