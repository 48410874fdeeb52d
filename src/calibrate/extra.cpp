#include "calibrate/extra.h"

#include <algorithm>

#include "core/error.h"

namespace assay::calibrate {

namespace {

std::string_view word(similarity::Kind kind) {
    switch (kind) {
        case similarity::Kind::Layer: return "layer";
        case similarity::Kind::Attention: return "attention";
        case similarity::Kind::Ffn: return "ffn";
        case similarity::Kind::Residual: return "residual";
        case similarity::Kind::ResidualAttention: return "residual_attention";
        case similarity::Kind::ResidualFfn: return "residual_ffn";
    }
    return "";
}

/// Two arrays of sums and one of counts, of equal length.
struct Columns {
    gguf::Reals first;
    gguf::Reals second;
    gguf::Integers counts;

    void push(double a, double b, std::uint64_t count) {
        first.push_back(a);
        second.push_back(b);
        counts.push_back(static_cast<std::int64_t>(count));
    }
};

void store(Columns columns, const std::string& prefix, std::string_view first, std::string_view second,
           gguf::Metadata& extra) {
    extra.set(fmt::format("{}.{}", prefix, first), gguf::f64s(std::move(columns.first)));
    extra.set(fmt::format("{}.{}", prefix, second), gguf::f64s(std::move(columns.second)));
    extra.set(prefix + ".count", {gguf::ValueType::Array, gguf::ValueType::U64, std::move(columns.counts)});
}

Columns read(const std::string& prefix, std::string_view first, std::string_view second,
             const gguf::Metadata& extra) {
    Columns columns;
    const gguf::Integers* counts = extra.find_integers(prefix + ".count");
    if (counts == nullptr) return columns;
    columns.first = extra.find_reals(fmt::format("{}.{}", prefix, first)).value_or(gguf::Reals{});
    columns.second = extra.find_reals(fmt::format("{}.{}", prefix, second)).value_or(gguf::Reals{});
    columns.counts = *counts;
    if (columns.first.size() != counts->size() || columns.second.size() != counts->size())
        throw_error(ErrorKind::BadFile, extra.where(),
                    "keys {}.* have {}, {} and {} entries, expected equal numbers", prefix,
                    columns.first.size(), columns.second.size(), counts->size());
    return columns;
}

std::string losses_prefix(std::size_t block) {
    return block == 0 ? "assay.perplexity" : fmt::format("assay.nextn.perplexity.{}", block);
}

std::string losses_prefix(documents::Role role) {
    return fmt::format("assay.perplexity.{}", to_string(role));
}

void store_chunks(const std::vector<perplexity::Sums>& chunks, const std::string& prefix,
                  gguf::Metadata& extra) {
    if (chunks.empty()) return;
    Columns columns;
    for (const perplexity::Sums& sums : chunks) columns.push(sums.nll, sums.nll_squared, sums.count);
    store(std::move(columns), prefix, "nll", "nll_squared", extra);
}

std::vector<perplexity::Sums> read_chunks(const std::string& prefix, const gguf::Metadata& extra) {
    const Columns columns = read(prefix, "nll", "nll_squared", extra);
    std::vector<perplexity::Sums> chunks;
    for (std::size_t i = 0; i < columns.counts.size(); ++i)
        chunks.push_back(
            {columns.first[i], columns.second[i], static_cast<std::uint64_t>(columns.counts[i])});
    return chunks;
}

std::string similarity_prefix(similarity::Kind kind) {
    return fmt::format("assay.similarity.{}", word(kind));
}

}  // namespace

void store_model(const model::Program& program, gguf::Metadata& extra) {
    extra.set("assay.model.name", gguf::text(program.name));
    extra.set("assay.model.architecture", gguf::text(program.architecture));
}

void store_documents(const documents::Counts& counts, const documents::RoleWeights& weights,
                     gguf::Metadata& extra) {
    const std::pair<const char*, std::int64_t> numbers[] = {{"count", counts.documents},
                                                            {"conversations", counts.conversations},
                                                            {"cut", counts.cut},
                                                            {"pieces", counts.pieces},
                                                            {"dropped", counts.refused + counts.short_ones},
                                                            {"duplicates", counts.duplicates}};
    for (const auto& [key, value] : numbers)
        extra.set(fmt::format("assay.documents.{}", key), gguf::u64(static_cast<std::uint64_t>(value)));
    std::string text;
    for (const documents::Role role : documents::kRoles)
        text += fmt::format("{}{}={}", text.empty() ? "" : ",", to_string(role),
                            static_cast<double>(weights.of[index_of(role)]) / documents::RoleWeights::kOne);
    extra.set("assay.documents.weights", gguf::text(std::move(text)));
}

void store_losses(const Collected& collected, gguf::Metadata& extra) {
    store_chunks(collected.chunk_losses, losses_prefix(0), extra);
    for (std::size_t i = 0; i < collected.nextn_losses.size(); ++i)
        store_chunks(collected.nextn_losses[i], losses_prefix(i + 1), extra);
    for (const documents::Role role : documents::kRoles) {
        std::vector<perplexity::Sums> chunks;
        for (const RoleLosses& losses : collected.role_losses) chunks.push_back(losses[index_of(role)]);
        if (std::ranges::any_of(chunks, [](const perplexity::Sums& sums) { return sums.count > 0; }))
            store_chunks(chunks, losses_prefix(role), extra);
    }
}

void store_similarity(const similarity::Similarity& similarity, gguf::Metadata& extra, bool exact) {
    for (const similarity::Kind kind : similarity::kKinds) {
        Columns columns;
        gguf::Reals cosine_low, change_low;
        for (const similarity::Sum& sum : similarity.sums(kind)) {
            columns.push(sum.cos.high, sum.relative_change.high, sum.count);
            cosine_low.push_back(sum.cos.low);
            change_low.push_back(sum.relative_change.low);
        }
        if (columns.counts.empty()) continue;
        const std::string prefix = similarity_prefix(kind);
        store(std::move(columns), prefix, "cosine", "relative_change", extra);
        if (!exact) continue;
        extra.set(prefix + ".cosine_low", gguf::f64s(std::move(cosine_low)));
        extra.set(prefix + ".relative_change_low", gguf::f64s(std::move(change_low)));
    }
}

void store_skipped(const std::vector<std::int64_t>& chunks, gguf::Metadata& extra) {
    constexpr const char* kSkipped = "assay.skipped_chunks";
    if (chunks.empty()) return;
    gguf::Integers all;
    if (const gguf::Integers* before = extra.find_integers(kSkipped)) all = *before;
    all.insert(all.end(), chunks.begin(), chunks.end());
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    extra.set(kSkipped, {gguf::ValueType::Array, gguf::ValueType::U64, std::move(all)});
}

std::vector<perplexity::Sums> read_losses(const gguf::Metadata& extra, std::size_t block) {
    return read_chunks(losses_prefix(block), extra);
}

std::vector<RoleLosses> read_role_losses(const gguf::Metadata& extra) {
    std::vector<RoleLosses> all;
    for (const documents::Role role : documents::kRoles) {
        const std::vector<perplexity::Sums> chunks = read_chunks(losses_prefix(role), extra);
        all.resize(std::max(all.size(), chunks.size()));
        for (std::size_t i = 0; i < chunks.size(); ++i) all[i][index_of(role)] = chunks[i];
    }
    return all;
}

similarity::Similarity read_similarity(const gguf::Metadata& extra) {
    similarity::Similarity result;
    for (const similarity::Kind kind : similarity::kKinds) {
        const std::string prefix = similarity_prefix(kind);
        const Columns columns = read(prefix, "cosine", "relative_change", extra);
        const auto low = [&](const char* name) {
            gguf::Reals found = extra.find_reals(prefix + name).value_or(gguf::Reals{});
            found.resize(columns.counts.size());
            return found;
        };
        const gguf::Reals cosine_low = low(".cosine_low"), change_low = low(".relative_change_low");
        for (std::size_t i = 0; i < columns.counts.size(); ++i)
            result.add(kind, static_cast<int>(i),
                       {{columns.first[i], cosine_low[i]},
                        {columns.second[i], change_low[i]},
                        static_cast<std::uint64_t>(columns.counts[i])});
    }
    return result;
}

}  // namespace assay::calibrate
