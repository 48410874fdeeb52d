#include "imatrix/view_names.h"

#include <utility>

#include "core/error.h"

namespace assay::imatrix {

std::string_view weight_of_view(std::string_view name) {
    std::string_view weight = name;
    if (const std::size_t device = weight.find('#'); device != std::string_view::npos) {
        weight.remove_prefix(device + 1);
        weight = weight.substr(0, weight.find('#'));
    }
    weight = weight.substr(0, weight.find(" ("));
    return weight.empty() ? name : weight;
}

void EntryNames::add(Matrix& matrix, const std::string& name, Entry entry, const std::string& where) {
    if (!seen_.insert(name).second) throw_error(ErrorKind::BadFile, where, "entry {} occurs twice", name);
    const std::string weight(weight_of_view(name));
    if (weight != name && n_changed_++ == 0) first_ = name;
    try {
        add_entry(matrix, weight, std::move(entry));
    } catch (const Error& error) {
        throw Error(error.kind(), where, error.message());
    }
}

void EntryNames::tell(const std::string& where, Notes& notes) const {
    if (n_changed_ == 0) return;
    notes.push_back(
        fmt::format("{}: {} named after views and taken for the weights: '{}' for '{}'{}", where,
                    n_changed_ == 1 ? std::string("1 entry is") : fmt::format("{} entries are", n_changed_),
                    first_, weight_of_view(first_), n_changed_ == 1 ? "" : " and so on"));
}

}  // namespace assay::imatrix
