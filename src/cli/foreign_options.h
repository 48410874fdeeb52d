// Options that llama.cpp's and ik_llama.cpp's tools document and that have no effect here. They are accepted,
// so that command lines need not change, with one sentence that says why.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::cli {

enum class Values {
    None,
    One,
    Optional,  ///< on, off or auto when the next word is one of these, or a number
};

struct ForeignOption {
    std::vector<std::string_view> names;
    Values values = Values::None;
    std::string_view reason;  ///< completes "NAME has no effect: "
    bool refused =
        false;  ///< the reason is an error instead: going on would do something else than was asked
};

std::span<const ForeignOption> foreign_options();

/// nullptr when no foreign option has this name.
const ForeignOption* find_foreign(std::string_view name);

/// Whether `word` is a value that an Optional one takes.
bool is_optional_value(std::string_view word) noexcept;

}  // namespace assay::cli
