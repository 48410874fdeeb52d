#include "calibrate/missing_experts.h"

#include <algorithm>

#include "core/error.h"
#include "model/visit.h"

namespace assay::calibrate {

namespace {

std::string key(MissingExperts as, const char* part) {
    return fmt::format("assay.missing_experts_{}.{}", as == MissingExperts::One ? "one" : "all", part);
}

std::vector<std::int64_t> experts_where(const imatrix::Entry& entry, bool (*wanted)(double)) {
    std::vector<std::int64_t> experts;
    for (std::size_t e = 0; e < entry.counts.size(); ++e)
        if (wanted(entry.counts[e])) experts.push_back(static_cast<std::int64_t>(e));
    return experts;
}

std::vector<std::int64_t> without_rows(const imatrix::Entry& entry) {
    if (entry.counts.size() < 2) return {};  // not of experts
    return experts_where(entry, [](double count) { return count == 0; });
}

void mark(imatrix::Matrix& matrix, MissingExperts as, const ExpertsOfTensors& more) {
    if (more.empty()) return;
    ExpertsOfTensors all = marked_experts(matrix, as);
    for (const auto& [tensor, experts] : more) {
        std::vector<std::int64_t>& of = all[tensor];
        of.insert(of.end(), experts.begin(), experts.end());
        std::ranges::sort(of);
        of.erase(std::unique(of.begin(), of.end()), of.end());
    }
    gguf::Strings tensors;
    gguf::Integers counts, numbers;
    for (const auto& [tensor, experts] : all) {
        tensors.push_back(tensor);
        counts.push_back(std::ssize(experts));
        numbers.insert(numbers.end(), experts.begin(), experts.end());
    }
    matrix.extra.set(key(as, "tensors"), gguf::texts(std::move(tensors)));
    matrix.extra.set(key(as, "counts"), gguf::i32s(std::move(counts)));
    matrix.extra.set(key(as, "experts"), gguf::i32s(std::move(numbers)));
}

void set_expert(imatrix::Entry& entry, std::int64_t expert, double square, double count) {
    const auto n = static_cast<std::int64_t>(entry.columns_per_count());
    const auto fill = [&](auto& sums, auto value) {
        if (!sums.empty()) std::fill_n(sums.begin() + expert * n, n, value);
    };
    fill(entry.sum_sq, square);
    fill(entry.sum, 0.0);
    fill(entry.sum_sq_low, 0.0F);
    fill(entry.sum_low, 0.0F);
    entry.counts[static_cast<std::size_t>(expert)] = count;
}

}  // namespace

engine::ExpertLists missing_experts(const model::Program& program, const imatrix::Matrix& matrix) {
    engine::ExpertLists missing;
    for (const model::Stage* stage : model::collected_stages(program)) {
        const model::Experts* experts = stage->experts();
        if (experts == nullptr) continue;
        const auto entry = matrix.entries.find(experts->up.weight.name);
        if (entry == matrix.entries.end()) continue;
        if (auto list = without_rows(entry->second); !list.empty())
            missing[experts->up.weight.name] = std::move(list);
    }
    return missing;
}

void fill_with_ones(imatrix::Matrix& matrix) {
    ExpertsOfTensors filled;
    for (auto& [name, entry] : matrix.entries) {
        std::vector<std::int64_t> experts = without_rows(entry);
        if (experts.empty()) continue;
        for (const std::int64_t e : experts) set_expert(entry, e, 1, 1);
        filled[name] = std::move(experts);
    }
    mark(matrix, MissingExperts::One, filled);
}

void forget_ones(imatrix::Matrix& matrix) {
    for (const auto& [name, experts] : marked_experts(matrix, MissingExperts::One)) {
        const auto entry = matrix.entries.find(name);
        if (entry == matrix.entries.end()) continue;
        for (const std::int64_t e : experts)
            if (e < std::ssize(entry->second.counts)) set_expert(entry->second, e, 0, 0);
    }
    gguf::Metadata kept(matrix.extra.where());
    for (const auto& [name, value] : matrix.extra.values())
        if (!name.starts_with(key(MissingExperts::One, ""))) kept.set(name, value);
    matrix.extra = std::move(kept);
}

void add_forced(imatrix::Matrix& matrix, const imatrix::Matrix& forced) {
    ExpertsOfTensors filled;
    for (const auto& [name, entry] : forced.entries) {
        imatrix::add_entry(matrix, name, entry);
        filled[name] = experts_where(entry, [](double count) { return count > 0; });
    }
    mark(matrix, MissingExperts::All, filled);
}

ExpertsOfTensors marked_experts(const imatrix::Matrix& matrix, MissingExperts as) {
    const gguf::Metadata& extra = matrix.extra;
    const gguf::Strings* tensors = extra.find_strings(key(as, "tensors"));
    if (tensors == nullptr) return {};
    const gguf::Integers* counts = extra.find_integers(key(as, "counts"));
    const gguf::Integers* experts = extra.find_integers(key(as, "experts"));
    const auto bad = [&](const char* what) {
        throw_error(ErrorKind::BadFile, extra.where(), "keys {}: {}", key(as, "*"), what);
    };
    if (counts == nullptr || experts == nullptr || counts->size() != tensors->size())
        bad("expected as many counts as tensors, and experts");
    if (std::ranges::any_of(*counts, [](std::int64_t n) { return n < 0; }) ||
        std::ranges::any_of(*experts, [](std::int64_t e) { return e < 0; }))
        bad("a number is negative");
    ExpertsOfTensors all;
    std::size_t next = 0;
    for (std::size_t i = 0; i < tensors->size(); ++i) {
        const auto n = static_cast<std::size_t>((*counts)[i]);
        if (n > experts->size() - next) bad("there are fewer experts than the counts say");
        const auto begin = experts->begin() + static_cast<std::ptrdiff_t>(next);
        all[(*tensors)[i]].assign(begin, begin + static_cast<std::ptrdiff_t>(n));
        next += n;
    }
    return all;
}

}  // namespace assay::calibrate
