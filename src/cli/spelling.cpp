#include "cli/spelling.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <utility>

namespace assay::cli {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kAliases{{
    {"-bf", "--binary-file"},
    {"-dev", "--device"},
    {"-lsim", "--layer-similarity"},
    {"-lv", "--verbosity"},
    {"-ofreq", "--output-frequency"},
    {"--file-binary", "--binary-file"},
    {"--from-chunk", "--chunk"},
    {"--log-verbosity", "--verbosity"},
    {"--log-verbose", "--verbose"},
    {"--output", "--output-file"},
    {"--usage", "--help"},
    {"--output-freq", "--output-frequency"},
    {"--process-output-tensor", "--process-output"},
    {"-v", "--verbose"},
    {"-tb", "--threads-batch"},
}};

std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
        }
    }
    return row.back();
}

}  // namespace

std::string canonical_name(std::string_view name) {
    std::string result(name);
    if (name.starts_with("--")) std::ranges::replace(result, '_', '-');
    for (const auto& [alias, full] : kAliases)
        if (alias == result) return std::string(full);
    return result;
}

bool is_option(std::string_view word) noexcept {
    if (word.size() < 2 || word[0] != '-') return false;
    const auto second = static_cast<unsigned char>(word[1]);
    return std::isdigit(second) == 0 && word[1] != '.';
}

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
    std::string best;
    std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
    for (const std::string& candidate : known) {
        const std::size_t distance = edits(name, candidate);
        if (distance < least) {
            least = distance;
            best = candidate;
        }
    }
    return best;
}

}  // namespace assay::cli
