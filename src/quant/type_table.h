// The storage types of GGUF tensors: one row each, with layout and the scalar reference decoder.
// Layouts: ggml's block formats as of 2026-08; see each decoder file for the formulas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace assay::quant {

/// Decodes one row of `n` weights (a multiple of the type's block) from `row` into `out` [n] f32.
/// `row` may be unaligned. Never reads past the row's bytes; does not throw.
using DecodeRow = void (*)(const std::byte* row, std::size_t n, float* out);

/// Ids as stored in files.
enum class TypeId : std::uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
    Q1_0 = 41,
    Q2_0 = 42,
};

struct TypeInfo {
    TypeId id;
    std::string_view name;      ///< as quantisers spell it, e.g. "q4_K"
    std::uint32_t block;        ///< weights per block
    std::uint32_t block_bytes;  ///< bytes per block
    std::uint32_t row_meta;     ///< bytes before the first block of each row: the row scales of ik_llama.cpp
    DecodeRow decode;           ///< scalar reference
};

/// All known types, by id.
std::span<const TypeInfo> all_types() noexcept;

/// nullptr when the id is unknown or was removed from the format.
const TypeInfo* find_type(std::uint32_t id) noexcept;

/// Throws Error{Internal} for an id that is not in the table.
const TypeInfo& type_info(TypeId id);

/// Bytes of a row of `n` weights. Throws Error{Shape} when n is no multiple of the block or the size
/// overflows.
std::uint64_t row_bytes(const TypeInfo& type, std::uint64_t n);

}  // namespace assay::quant
