#include "imatrix/matrix.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace assay::imatrix {

namespace {

bool same(const gguf::Value& a, const gguf::Value& b) {
    return a.type == b.type && (a.type != gguf::ValueType::Array || a.element == b.element) &&
           a.data == b.data;
}

void check_mergeable(const std::string& name, const Entry& into, const Entry& from) {
    if (into.sum_sq.size() != from.sum_sq.size())
        throw_error(ErrorKind::Shape, "", "inconsistent size for {} ({} vs {})", name, into.sum_sq.size(),
                    from.sum_sq.size());
    const std::size_t a = into.counts.size(), b = from.counts.size();
    const std::size_t many = std::max(a, b);
    if (a != b && (std::min(a, b) != 1 || into.sum_sq.size() % many != 0))
        throw_error(ErrorKind::Shape, "", "inconsistent expert count for {} ({} vs {})", name, a, b);
}

void add(std::vector<double>& into, const std::vector<double>& from) {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] += from[i];
}

void merge_entry(const std::string& name, Entry& into, const Entry& from) {
    if (into.counts.size() < from.counts.size()) expand_counts(into, from.counts.size(), name);
    add(into.sum_sq, from.sum_sq);
    if (into.sum.size() == from.sum.size())
        add(into.sum, from.sum);
    else
        into.sum.clear();
    const bool broadcast = from.counts.size() == 1;
    for (std::size_t i = 0; i < into.counts.size(); ++i) into.counts[i] += from.counts[broadcast ? 0 : i];
    // Of two widths with the same total the smaller one knows about heads.
    into.width = std::min(into.width, from.width);
}

std::string_view group_of(std::string_view key) { return key.substr(0, key.rfind('.')); }

/// Groups with a key that only one side has, or that the sides have with different values.
std::set<std::string, std::less<>> differing_groups(const gguf::Metadata& a, const gguf::Metadata& b) {
    std::set<std::string, std::less<>> groups;
    const auto add_differences = [&](const gguf::Metadata& one, const gguf::Metadata& other) {
        for (const auto& [key, value] : one.values())
            if (const gguf::Value* twin = other.find(key); twin == nullptr || !same(value, *twin))
                groups.emplace(group_of(key));
    };
    add_differences(a, b);
    add_differences(b, a);
    return groups;
}

void keep_common(gguf::Metadata& into, const gguf::Metadata& from) {
    const auto differing = differing_groups(into, from);
    gguf::Metadata common(into.where());
    for (const auto& [key, value] : into.values())
        if (!differing.contains(group_of(key))) common.set(key, value);
    into = std::move(common);
}

}  // namespace

std::uint64_t Entry::max_count() const noexcept {
    return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

std::uint64_t Entry::n_missing() const noexcept {
    return static_cast<std::uint64_t>(std::count(counts.begin(), counts.end(), 0u));
}

std::string Entry::partial_note(std::string_view name) const {
    const std::uint64_t missing = n_missing();
    if (missing == 0) return {};
    const double n = static_cast<double>(counts.size());
    return fmt::format("entry '{:>40}' has partial data ({:.2f}%)", name,
                       100.0 * (n - static_cast<double>(missing)) / n);
}

std::uint32_t Matrix::n_chunks(std::uint64_t size) const noexcept {
    std::uint64_t most = 0;
    for (const auto& [name, entry] : entries)
        if (name.find(".nextn.") == std::string::npos) most = std::max(most, entry.max_count());
    const std::uint64_t chunks = size == 0 ? 0 : most / size + (most % size + size / 2) / size;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(chunks, UINT32_MAX));
}

void expand_counts(Entry& entry, std::uint64_t n, std::string_view name) {
    if (n == 0 || entry.counts.size() != 1 || entry.sum_sq.size() % n != 0)
        throw_error(ErrorKind::Shape, name, "{} counts for {} values cannot become {} counts",
                    entry.counts.size(), entry.sum_sq.size(), n);
    entry.counts.assign(n, entry.counts[0]);
    entry.width = std::min(entry.width, entry.sum_sq.size() / n);
}

bool collapse_counts(Entry& entry) noexcept {
    if (entry.counts.empty()) return false;
    if (std::any_of(entry.counts.begin(), entry.counts.end(),
                    [&](std::uint64_t count) { return count != entry.counts[0]; }))
        return false;
    entry.counts.resize(1);
    return true;
}

Entry fold_heads(const Entry& entry, std::uint64_t n_heads) {
    const auto fold = [&](const std::vector<double>& sums) {
        std::vector<double> folded(sums.size() / n_heads, 0.0);
        for (std::size_t i = 0; i < sums.size(); ++i) folded[i % folded.size()] += sums[i];
        return folded;
    };
    Entry folded;
    folded.width = entry.sum_sq.size() / n_heads;
    folded.sum_sq = fold(entry.sum_sq);
    if (!entry.sum.empty()) folded.sum = fold(entry.sum);
    folded.counts = {entry.max_count() * n_heads};
    return folded;
}

void add_entry(Matrix& into, const std::string& name, Entry entry) {
    if (const auto known = into.entries.find(name); known != into.entries.end()) {
        check_mergeable(name, known->second, entry);
        merge_entry(name, known->second, entry);
    } else {
        into.entries.emplace(name, std::move(entry));
    }
}

void merge(Matrix& into, const Matrix& from, Notes& notes) {
    for (const auto& [name, entry] : from.entries)
        if (const auto known = into.entries.find(name); known != into.entries.end())
            check_mergeable(name, known->second, entry);
    const bool any_common = std::ranges::any_of(
        from.entries, [&](const auto& item) { return into.entries.contains(item.first); });
    if (!into.entries.empty() && !from.entries.empty() && !any_common)
        notes.push_back(
            fmt::format("{}none of the {} entries added is among the {} that were there; the matrices seem "
                        "to be of different models",
                        from.extra.where().empty() ? "" : from.extra.where() + ": ", from.entries.size(),
                        into.entries.size()));
    if (into.entries.empty() && into.datasets.empty() && into.extra.values().empty())
        into.extra = from.extra;
    else
        keep_common(into.extra, from.extra);
    for (const auto& [name, entry] : from.entries) add_entry(into, name, entry);
    into.datasets.insert(into.datasets.end(), from.datasets.begin(), from.datasets.end());
    if (into.chunk_size == 0 || (from.chunk_size_stored && !into.chunk_size_stored)) {
        into.chunk_size = from.chunk_size;
        into.chunk_size_stored = from.chunk_size_stored;
    } else if (from.chunk_size_stored && from.chunk_size != into.chunk_size) {
        notes.push_back(fmt::format(
            "merging chunks of {} tokens with chunks of {}: the sums count tokens, so the result is "
            "exact; the number of chunks is given in units of {}",
            into.chunk_size, from.chunk_size, into.chunk_size));
    }
    if (into.n_layer_nextn == 0)
        into.n_layer_nextn = from.n_layer_nextn;
    else if (from.n_layer_nextn != 0 && from.n_layer_nextn != into.n_layer_nextn)
        notes.push_back(fmt::format("merging a matrix of {} NextN blocks with one of {}; the result says {}",
                                    into.n_layer_nextn, from.n_layer_nextn, into.n_layer_nextn));
    into.recount_chunks();
}

}  // namespace assay::imatrix
