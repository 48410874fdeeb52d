// Rounding weights to a storage type, to measure what a type costs a tensor. Not a quantiser's whole job: it
// writes no files and never looks beyond one row.
//
// Without importance, the 32-weight types follow ggml's plain formulas to the byte (as the `gguf` Python
// package does); the others search for the scales with the least squared error. With importance every type
// searches for the least importance-weighted squared error among the scales that llama.cpp's quantisers try,
// and never does worse under that norm than without.
#pragma once

#include <cstddef>

#include "quant/type_table.h"

namespace assay::quant {

/// Encodes `row` [n] (n a multiple of the type's block, finite values) into `out` [row_bytes(n)].
/// `importance` [n], finite and not negative, or nullptr. A block without any importance counts as uniform.
/// Scales saturate at the largest half, so that decoding finite weights never gives NaN. Does not throw.
using EncodeRow = void (*)(const float* row, std::size_t n, const float* importance, std::byte* out);

/// nullptr for types that this program cannot write.
EncodeRow find_encoder(TypeId id) noexcept;

}  // namespace assay::quant
