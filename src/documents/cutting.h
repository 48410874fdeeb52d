// Documents that are longer than a chunk may be.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace assay::documents {

/// Tokens of a document that make a chunk.
struct Piece {
    std::size_t first = 0;
    std::size_t count = 0;
    bool operator==(const Piece&) const = default;
};

/// Covers `n_tokens` with pieces in order, the first of at most `most` tokens, the others of at most
/// `most_later`. A piece ends where one of `starts` (rising) begins, the last one that it reaches; where it
/// reaches none, the tokens up to the next one are cut into pieces that are as equal as can be.
std::vector<Piece> cut(std::size_t n_tokens, std::span<const std::size_t> starts, std::size_t most,
                       std::size_t most_later);

}  // namespace assay::documents
