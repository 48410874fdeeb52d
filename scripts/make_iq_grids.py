"""Writes src/quant/iq_grids.cpp: the IQ codebooks, packed as codes, from the data of the `gguf` package.

Usage: make_iq_grids.py > src/quant/iq_grids.cpp   (needs numpy and gguf; then run clang-format on it)
Also prints to stderr the FNV-1a checksums of the unpacked grids that tests/quant/decode_test.cpp pins.
"""
import sys

import numpy as np
from gguf import quants

GRIDS = [  # our name, class that carries it
    ("kGridIq1", quants.IQ1_S),
    ("kGridIq2Xxs", quants.IQ2_XXS),
    ("kGridIq2Xs", quants.IQ2_XS),
    ("kGridIq2S", quants.IQ2_S),
    ("kGridIq3Xxs", quants.IQ3_XXS),
    ("kGridIq3S", quants.IQ3_S),
]

HEAD = """// Written by scripts/make_iq_grids.py. Codes of the IQ codebooks, first weight in the low bits: two bits a
// weight for IQ1 and IQ2, four for IQ3. The points are those of the GGUF format (gguf Python package 0.19).
#include "quant/iq_grids.h"

namespace assay::quant {

namespace {

/// Weight j of a point is values[code j].
template <std::size_t kLength, std::size_t kEntries, std::size_t kValues>
constexpr Grid<kEntries, kLength> unpack(const std::array<std::uint16_t, kEntries>& codes,
                                         const std::array<std::int8_t, kValues>& values) {
    constexpr unsigned kBits = 16 / kLength;
    Grid<kEntries, kLength> grid{};
    for (std::size_t e = 0; e < kEntries; ++e)
        for (unsigned j = 0; j < kLength; ++j)
            grid[e][j] = values[codes[e] >> kBits * j & ((1u << kBits) - 1u)];
    return grid;
}
"""


def fnv1a(data: bytes) -> int:
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return h


def main() -> None:
    bodies, tables = [], []
    for name, cls in GRIDS:
        cls.init_grid()
        entries, length = cls.grid_shape
        points = cls.grid.reshape(entries, length).astype(np.int8)
        values = [int(v) for v in cls.grid_map]
        bits = 16 // length
        codes = [sum(values.index(int(v)) << bits * j for j, v in enumerate(p)) for p in points]
        code_name = name.replace("kGrid", "kCodes")
        bodies.append(f"constexpr std::array<std::uint16_t, {entries}> {code_name}{{\n"
                      + ", ".join(f"0x{c:04x}" for c in codes) + "};\n")
        tables.append(f"constinit const Grid<{entries}, {length}> {name} = unpack<{length}>({code_name}, "
                      f"std::array<std::int8_t, {len(values)}>{{{', '.join(map(str, values))}}});\n")
        print(name, hex(fnv1a(points.tobytes())), file=sys.stderr)
    print(HEAD)
    print("\n".join(bodies))
    print("}  // namespace\n")
    print("".join(tables))
    print("}  // namespace assay::quant")


main()
