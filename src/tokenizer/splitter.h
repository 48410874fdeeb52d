// Cuts text into words by the rules of a pre-tokenizer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/expression.h"
#include "tokenizer/split_rules.h"

namespace assay::tokenizer {

class Splitter {
  public:
    explicit Splitter(const PreTokenizer& pre);

    /// Buffers of one thread; reusing them saves allocations.
    struct Workspace {
        std::string reduced;
        std::string listed;
        std::vector<std::uint32_t> ends;
        std::vector<std::uint32_t> next_ends;
        std::vector<std::uint32_t> lengths_bytes;
        Expression::Workspace matching;
    };

    /// The lengths in bytes of the words of `clean` (see append_clean), which they cover without gaps; none
    /// is 0. They live in `workspace` until the next call. `clean` must be shorter than 2^32 bytes. Linear
    /// time.
    const std::vector<std::uint32_t>& split(std::string_view clean, Workspace& workspace) const;

  private:
    struct Step {
        SplitKind kind;
        std::vector<Expression> expression;  ///< one for Match, else none
    };

    std::vector<Step> steps_;
};

}  // namespace assay::tokenizer
