#include "documents/role.h"

namespace assay::documents {

std::string_view to_string(Role role) noexcept {
    switch (role) {
        case Role::Text: return "text";
        case Role::System: return "system";
        case Role::User: return "user";
        case Role::Assistant: return "assistant";
        case Role::Tool: return "tool";
        case Role::Template: return "template";
    }
    return "";
}

std::optional<Role> find_role(std::string_view word) noexcept {
    for (const Role role : kRoles)
        if (to_string(role) == word) return role;
    return std::nullopt;
}

}  // namespace assay::documents
