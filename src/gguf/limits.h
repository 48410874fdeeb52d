// The bounds on what a file may say, all in one place. Each is far beyond what any file in use has; behind it
// lies what a damaged or hostile file would have the program allocate, or count to. Everything else that a
// file says is bounded by its own size: it is compared with the bytes that are there before memory is taken
// for it.
#pragma once

#include <cstdint>

namespace assay::gguf::limits {

/// Of a tensor's name, as other readers have it.
inline constexpr std::uint64_t kNameBytes = 63;
/// Dimensions of a tensor: what readers know.
inline constexpr std::uint32_t kDimensions = 4;
/// A record of the directory takes several times its bytes in memory.
inline constexpr std::uint64_t kTensors = std::uint64_t{1} << 17;
inline constexpr std::uint64_t kPairs = std::uint64_t{1} << 18;
/// Of an array whose elements take more than twice their bytes in memory: integers of less than 32 bits, and
/// strings. Vocabularies have a quarter of a million.
inline constexpr std::uint64_t kSmallElements = std::uint64_t{1} << 22;
inline constexpr std::int64_t kAlignment = std::int64_t{1} << 30;
/// Of a split model: five digits in the name.
inline constexpr std::int64_t kParts = 99999;

/// Layers, and passes through layers where a model repeats them.
inline constexpr std::int64_t kLayers = 4096;
/// Any width, number of heads or length among the hyperparameters. Two of them may be multiplied in 64 bits.
inline constexpr std::int64_t kWidth = std::int64_t{1} << 24;
inline constexpr std::int64_t kExperts = 1024;

}  // namespace assay::gguf::limits
