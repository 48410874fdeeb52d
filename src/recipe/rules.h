// Rules "expression=type" that give every tensor its type in llama.cpp's --tensor-type-file as well as in
// ik_llama.cpp's --custom-q.
//
// Both search the name for an ECMAScript expression and take the first rule that matches. llama.cpp makes the
// expression lower case first and splits its file at white space; ik_llama.cpp splits at commas and wants the
// type spelled exactly; both split at the first '='. So: lower case, dots escaped, none of " ,=" inside.
#pragma once

#include <cstdint>
#include <optional>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quant/type_table.h"

namespace assay::recipe {

struct Rule {
    std::string pattern;
    quant::TypeId type;

    /// "pattern=type"
    std::string text() const;
};

/// A tensor's name without its block, and the block: "blk.7.attn_k.weight" is {"attn_k.weight", 7}.
struct SplitName {
    std::string kind;
    std::optional<std::uint64_t> block;
};
SplitName split_block(std::string_view name);

struct NamedType {
    std::string name;
    quant::TypeId type;
};

/// Rules under which each name gets its type. Blocks of one kind share a rule per type, with runs of numbers
/// written as ranges; kinds with the same types in the same blocks share rules too. Throws Error{Unsupported}
/// when two names of different types cannot be told apart within the syntax.
std::vector<Rule> make_rules(std::span<const NamedType> tensors);

/// Applies rules as the quantisers do.
class Matcher {
  public:
    explicit Matcher(std::span<const Rule> rules);
    /// The type of the first rule that matches; nothing when none does.
    std::optional<quant::TypeId> operator()(std::string_view name) const;

  private:
    std::vector<std::pair<std::regex, quant::TypeId>> rules_;
};

/// An expression for exactly these numbers (sorted, distinct, at least one): "(0|[3-9]|1[0-2])".
std::string number_pattern(std::span<const std::uint64_t> numbers);

/// A constraint of the user: tensors whose name contains a match of the expression get this type.
struct Keep {
    std::string text;  ///< as given
    std::regex expression;
    quant::TypeId type;
};

/// "attn_v=q6_K". Throws Error{Usage} when there is no '=', the expression is not valid or the type is
/// unknown.
Keep parse_keep(std::string_view text);

}  // namespace assay::recipe
