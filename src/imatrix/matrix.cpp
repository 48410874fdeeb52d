#include "imatrix/matrix.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/exact_sum.h"

namespace assay::imatrix {

namespace {

bool same(const gguf::Value& a, const gguf::Value& b) {
    return a.type == b.type && (a.type != gguf::ValueType::Array || a.element == b.element) &&
           a.data == b.data;
}

/// What is missing nowhere need not be kept.
void drop_zeros(std::vector<float>& low) {
    if (std::ranges::all_of(low, [](float value) { return value == 0; })) low = {};
}

void add(std::vector<double>& into, std::vector<float>& into_low, const std::vector<double>& from,
         const std::vector<float>& from_low) {
    into_low.resize(into.size());
    const ExactSums sums{into, into_low};
    if (from_low.empty())
        sums.add(std::span(from));
    else
        sums.add(from, from_low);
    drop_zeros(into_low);
}

void merge_entry(const std::string& name, Entry& into, const Entry& from) {
    if (into.counts.size() < from.counts.size()) expand_counts(into, from.counts.size(), name);
    add(into.sum_sq, into.sum_sq_low, from.sum_sq, from.sum_sq_low);
    if (into.sum.size() == from.sum.size()) {
        add(into.sum, into.sum_low, from.sum, from.sum_low);
    } else {
        into.sum.clear();
        into.sum_low.clear();
    }
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

double Entry::max_count() const noexcept {
    return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

std::uint64_t Entry::n_missing() const noexcept {
    return static_cast<std::uint64_t>(std::count(counts.begin(), counts.end(), 0.0));
}

std::string Entry::partial_note(std::string_view name) const {
    const std::uint64_t missing = n_missing();
    if (missing == 0) return {};
    const double n = static_cast<double>(counts.size());
    return fmt::format("entry '{:>40}' has partial data ({:.2f}%)", name,
                       100.0 * (n - static_cast<double>(missing)) / n);
}

std::uint32_t Matrix::n_chunks(std::uint64_t size) const noexcept {
    double most = 0;
    for (const auto& [name, entry] : entries)
        if (name.find(".nextn.") == std::string::npos) most = std::max(most, entry.max_count());
    // Half a chunk is size / 2 whole tokens.
    const double half = static_cast<double>(size / 2);
    const double chunks = size == 0 ? 0 : std::floor((most + half) / static_cast<double>(size));
    return static_cast<std::uint32_t>(std::min<double>(chunks, UINT32_MAX));
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
                    [&](double count) { return count != entry.counts[0]; }))
        return false;
    entry.counts.resize(1);
    return true;
}

Entry fold_heads(const Entry& entry, std::uint64_t n_heads) {
    Entry folded;
    folded.width = entry.sum_sq.size() / n_heads;
    const auto fold = [&](const std::vector<double>& sums, const std::vector<float>& low,
                          std::vector<double>& to, std::vector<float>& to_low) {
        to.resize(sums.size() / n_heads);
        to_low.resize(to.size());
        for (std::size_t first = 0; first < sums.size(); first += to.size()) {
            const std::span head(sums.data() + first, to.size());
            if (low.empty())
                ExactSums{to, to_low}.add(head);
            else
                ExactSums{to, to_low}.add(head, std::span(low.data() + first, to.size()));
        }
    };
    fold(entry.sum_sq, entry.sum_sq_low, folded.sum_sq, folded.sum_sq_low);
    if (!entry.sum.empty()) fold(entry.sum, entry.sum_low, folded.sum, folded.sum_low);
    drop_zeros(folded.sum_sq_low);
    drop_zeros(folded.sum_low);
    folded.counts = {entry.max_count() * static_cast<double>(n_heads)};
    return folded;
}

void Entry::widen() {
    sum_sq_low.resize(sum_sq.size());
    sum_low.resize(sum.size());
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

void add_entry(Matrix& into, const std::string& name, const Entry& entry) {
    if (const auto known = into.entries.find(name); known != into.entries.end()) {
        check_mergeable(name, known->second, entry);
        merge_entry(name, known->second, entry);
    } else {
        Entry& added = into.entries.emplace(name, entry).first->second;
        drop_zeros(added.sum_sq_low);
        drop_zeros(added.sum_low);
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
