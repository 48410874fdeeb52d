// Who says a token.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assay::documents {

enum class Role : std::uint8_t {
    Text,       ///< a text without speakers, or a conversation in which they could not be told apart
    System,     ///< tools that a conversation declares included
    User,       ///< a prompt too
    Assistant,  ///< a completion too
    Tool,
    Template,  ///< what a chat template puts around the others
};

inline constexpr std::array kRoles{Role::Text,      Role::System, Role::User,
                                   Role::Assistant, Role::Tool,   Role::Template};

constexpr std::size_t index_of(Role role) { return static_cast<std::size_t>(role); }

/// "text", "system" and so on.
std::string_view to_string(Role role) noexcept;
std::optional<Role> find_role(std::string_view word) noexcept;

/// What a row of each role counts, in 1024ths. Products of a weight with a count are whole numbers so.
struct RoleWeights {
    static constexpr int kOne = 1024;
    std::array<int, kRoles.size()> of{kOne, kOne, kOne, kOne, kOne, kOne};

    bool all_one() const { return *this == RoleWeights{}; }
    bool operator==(const RoleWeights&) const = default;
};

}  // namespace assay::documents
