// The options that were given, by canonical name, on the command line or through the environment.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command_line.h"

namespace assay::cli {

/// An environment variable that stands in for an option that takes a value.
struct Variable {
    std::string_view option;
    std::string_view name;
};

class Given {
  public:
    /// Parses canonical words (see normalise) against the rows that work. Throws Error{Usage}.
    Given(const Words& words, std::span<const OptionRow> rows, std::span<const Variable> variables);

    bool has(std::string_view option) const { return values_.contains(option); }
    /// The last value given; nothing when there is none.
    std::optional<std::string> last(std::string_view option) const;
    /// Every value given, in order.
    Words all(std::string_view option) const;
    /// Of options that undo each other or stand for the same thing: the one typed last; empty for none.
    std::string_view winner(std::initializer_list<std::string_view> options) const;
    /// How often any of these was typed.
    std::size_t times(std::initializer_list<std::string_view> options) const;

  private:
    std::map<std::string, Words, std::less<>> values_;
    Words order_;  ///< names as typed, without values
};

}  // namespace assay::cli
