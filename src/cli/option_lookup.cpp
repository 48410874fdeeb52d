// Finding options by name, and the name that was meant.
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "cli/options_table.h"

namespace assay::cli {

namespace {

/// Calls use(name) for each name of the row until it returns true; whether it did.
template <typename Use> bool any_name(const OptionRow& row, Use use) {
    std::string_view rest = row.names;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(' '), rest.size());
        if (use(rest.substr(0, end))) return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
    std::iota(previous.begin(), previous.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = std::min(current[j], before[j - 2] + 1);
        }
        std::swap(before, previous);
        std::swap(previous, current);
    }
    return previous[b.size()];
}

std::string_view without_dashes(std::string_view name) {
    return name.substr(std::min(name.find_first_not_of('-'), name.size()));
}

}  // namespace

const OptionRow* find_option(std::span<const OptionRow> rows, std::string_view name) noexcept {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const OptionRow& row) {
        return any_name(row, [&](std::string_view candidate) { return candidate == name; });
    });
    return found == rows.end() ? nullptr : &*found;
}

std::string_view canonical_name(const OptionRow& row) noexcept {
    return row.names.substr(0, row.names.find(' '));
}

std::string_view nearest_name(std::span<const OptionRow> rows, std::string_view name) {
    // A wrong number of dashes is one mistake, however many there are.
    const auto distance = [](std::string_view a, std::string_view b) {
        const std::string_view bare_a = without_dashes(a), bare_b = without_dashes(b);
        const bool same_dashes = a.size() - bare_a.size() == b.size() - bare_b.size();
        return 2 * edit_distance(bare_a, bare_b) + (same_dashes ? 0 : 1);
    };
    std::string_view best;
    std::size_t least = std::string_view::npos;
    for (const OptionRow& row : rows) {
        any_name(row, [&](std::string_view candidate) {
            const std::size_t d = distance(name, candidate);
            if (d < least) {
                least = d;
                best = candidate;
            }
            return false;
        });
    }
    const std::size_t letters = without_dashes(best).size();
    return 3 * least <= 2 * letters + 2 ? best : std::string_view();
}

}  // namespace assay::cli
