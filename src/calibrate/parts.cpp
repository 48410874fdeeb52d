#include "calibrate/parts.h"

#include <algorithm>
#include <map>
#include <set>

#include "calibrate/extra.h"
#include "calibrate/missing_experts.h"
#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"

namespace assay::calibrate {

namespace {

constexpr const char* kPrefix = "assay.part.";

std::string key(const char* name) { return std::string(kPrefix) + name; }

/// "chunks 4 to 7 and 12"
std::string text_of(const std::vector<cluster::Range>& ranges) {
    std::string text = "chunks ";
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (i > 0) text += i + 1 < ranges.size() ? ", " : " and ";
        text += fmt::format("{}", ranges[i].first);
        if (ranges[i].count > 1) text += fmt::format(" to {}", ranges[i].first + ranges[i].count - 1);
    }
    return text;
}

std::vector<cluster::Range> common(const cluster::DoneChunks& a, const cluster::DoneChunks& b) {
    std::vector<cluster::Range> ranges;
    for (const cluster::Range& x : a.ranges())
        for (const cluster::Range& y : b.ranges()) {
            const std::int64_t first = std::max(x.first, y.first);
            const std::int64_t end = std::min(x.first + x.count, y.first + y.count);
            if (first < end) ranges.push_back({first, end - first});
        }
    return ranges;
}

std::vector<cluster::Range> gaps(const Part& part) {
    std::vector<cluster::Range> ranges;
    for (auto gap = part.chunks.gap(0, part.n_chunks); gap;
         gap = part.chunks.gap(gap->first + gap->count, part.n_chunks))
        ranges.push_back(*gap);
    return ranges;
}

/// What a run tells of its chunks, by their numbers in the text.
class Whole {
  public:
    void add(const Part& part, const imatrix::Matrix& matrix) {
        const gguf::Metadata& extra = matrix.extra;
        if (const gguf::Integers* skipped = extra.find_integers("assay.skipped_chunks"))
            skipped_.insert(skipped->begin(), skipped->end());
        losses_.resize(std::max<std::size_t>(losses_.size(), 1 + matrix.n_layer_nextn));
        const auto n_chunks = static_cast<std::uint64_t>(part.chunks.count() - n_skipped(part.chunks));
        for (std::size_t block = 0; block <= matrix.n_layer_nextn; ++block) {
            const std::vector<perplexity::Sums> sums = read_losses(extra, block);
            if (sums.empty()) continue;
            // A file may say any number of chunks: they are gone through only where it has as many losses.
            if (sums.size() != n_chunks)
                throw_error(ErrorKind::BadFile, extra.where(), "has the losses of {} chunks, expected {}",
                            sums.size(), n_chunks);
            auto next = sums.begin();
            for (const cluster::Range& range : part.chunks.ranges())
                for (std::int64_t chunk = range.first; chunk < range.first + range.count; ++chunk)
                    if (!skipped_.contains(chunk + 1)) losses_[block].emplace(chunk, *next++);
        }
        similarity_.add(read_similarity(extra));
    }
    Collected collected() const {
        Collected result;
        result.nextn_losses.resize(losses_.size() - 1);
        for (std::size_t block = 0; block < losses_.size(); ++block)
            for (const auto& [chunk, sums] : losses_[block])
                (block == 0 ? result.chunk_losses : result.nextn_losses[block - 1]).push_back(sums);
        result.similarity = similarity_;
        result.skipped.assign(skipped_.begin(), skipped_.end());
        return result;
    }

  private:
    std::int64_t n_skipped(const cluster::DoneChunks& chunks) const {
        return std::ranges::count_if(skipped_, [&](std::int64_t number) {
            return std::ranges::any_of(chunks.ranges(), [&](const cluster::Range& range) {
                return number > range.first && number <= range.first + range.count;
            });
        });
    }

    std::vector<std::map<std::int64_t, perplexity::Sums>> losses_;  ///< by tokens ahead
    similarity::Similarity similarity_;
    std::set<std::int64_t> skipped_;
};

/// The keys of a matrix that are the same in all parts.
gguf::Metadata common_keys(const gguf::Metadata& extra) {
    gguf::Metadata kept(extra.where());
    for (const auto& entry : extra.values()) {  // named: clang 14 captures no structured binding
        const std::string& name = entry.first;
        const auto begins = [&](const char* prefix) { return name.starts_with(prefix); };
        if (!begins(kPrefix) && !begins("assay.perplexity.") && !begins("assay.nextn.perplexity.") &&
            !begins("assay.similarity.") && !begins("assay.skipped_chunks") &&
            !begins("assay.missing_experts_one."))
            kept.set(name, entry.second);
    }
    return kept;
}

void check_overlap(const std::vector<std::filesystem::path>& paths, const std::vector<Part>& parts,
                   bool force, imatrix::Notes& notes) {
    for (std::size_t i = 0; i < parts.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const auto both = common(parts[j].chunks, parts[i].chunks);
            if (both.empty()) continue;
            const std::string what = fmt::format("{} holds {} (from 0) as {} does", paths[i].string(),
                                                 text_of(both), paths[j].string());
            if (!force)
                throw Error(ErrorKind::Usage, "", what + "; assay merge --force adds them all the same");
            notes.push_back(what + "; they count several times");
        }
}

using Load = std::function<imatrix::Matrix(const std::filesystem::path&)>;

Merged merge_parts(const std::vector<std::filesystem::path>& paths, const Load& load,
                   const std::vector<Part>& parts, bool force, imatrix::Notes& notes) {
    check_overlap(paths, parts, force, notes);
    Merged merged;
    merged.part = parts.front();
    merged.part->chunks = {};
    Whole whole;
    gguf::Metadata keys;
    std::vector<std::string> datasets;
    bool ones = false;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        imatrix::Matrix matrix = load(paths[i]);
        for (const cluster::Range& range : parts[i].chunks.ranges()) merged.part->chunks.add(range);
        whole.add(parts[i], matrix);
        ones |= !marked_experts(matrix, MissingExperts::One).empty();
        forget_ones(matrix);
        if (i == 0) {
            keys = common_keys(matrix.extra);
            datasets = matrix.datasets;
        } else {
            for (const std::string& constant : parts[i].constants) matrix.entries.erase(constant);
        }
        imatrix::merge(merged.matrix, matrix, notes);
    }
    merged.matrix.datasets = datasets;
    merged.matrix.extra = keys;
    if (ones) fill_with_ones(merged.matrix);
    merged.collected = whole.collected();
    store_losses(merged.collected, merged.matrix.extra);
    store_similarity(merged.collected.similarity, merged.matrix.extra, true);
    store_skipped(merged.collected.skipped, merged.matrix.extra);
    store_part(*merged.part, merged.matrix.extra);
    if (const auto missing = gaps(*merged.part); !missing.empty())
        notes.push_back(fmt::format("{} (from 0) of {} are in none of the files", text_of(missing),
                                    merged.part->n_chunks));
    return merged;
}

}  // namespace

std::int64_t next_chunk(std::int64_t first, std::int64_t done, const std::vector<std::int64_t>& skipped) {
    std::int64_t next = first + done + 1;
    for (const std::int64_t number : skipped) next += number <= next;
    return next - 1;
}

void store_part(const Part& part, gguf::Metadata& extra) {
    gguf::Integers first, count;
    for (const cluster::Range& range : part.chunks.ranges()) {
        first.push_back(range.first);
        count.push_back(range.count);
    }
    extra.set(key("run"), gguf::text(part.run));
    extra.set(key("n_chunks"), gguf::u64(static_cast<std::uint64_t>(part.n_chunks)));
    extra.set(key("first"), {gguf::ValueType::Array, gguf::ValueType::I64, std::move(first)});
    extra.set(key("count"), {gguf::ValueType::Array, gguf::ValueType::I64, std::move(count)});
    if (!part.constants.empty()) extra.set(key("constants"), gguf::texts(part.constants));
}

std::optional<Part> find_part(const gguf::Metadata& extra) {
    const auto run = extra.find_string(key("run"));
    if (!run) return std::nullopt;
    Part part;
    part.run = *run;
    part.n_chunks = extra.get_integer(key("n_chunks"));
    const gguf::Integers* first = extra.find_integers(key("first"));
    const gguf::Integers* count = extra.find_integers(key("count"));
    const auto bad = [&] {
        throw_error(ErrorKind::BadFile, extra.where(), "keys {}*: expected rising ranges of {} chunks",
                    kPrefix, part.n_chunks);
    };
    if (first == nullptr || count == nullptr || first->size() != count->size() || part.n_chunks < 0) bad();
    std::int64_t end = 0;
    for (std::size_t i = 0; i < first->size(); ++i) {
        const std::int64_t from = (*first)[i], n = (*count)[i];
        if (from < end || n < 1 || from > part.n_chunks || n > part.n_chunks - from) bad();
        part.chunks.add({from, n});
        end = from + n;
    }
    if (const gguf::Strings* constants = extra.find_strings(key("constants"))) part.constants = *constants;
    return part;
}

Merged merge_matrices(const std::vector<std::filesystem::path>& paths, const Load& load, bool force,
                      imatrix::Notes& notes) {
    std::vector<Part> parts;
    std::set<std::string> runs;
    for (const std::filesystem::path& path : paths) {
        const MappedFile file(path);
        if (!gguf::has_magic(file.bytes())) continue;
        if (auto part = find_part(gguf::parse_header(file.bytes(), path.string()).metadata)) {
            runs.insert(part->run);
            parts.push_back(std::move(*part));
        }
    }
    if (!parts.empty() && parts.size() == paths.size() && runs.size() == 1)
        return merge_parts(paths, load, parts, force, notes);
    if (!parts.empty())
        notes.push_back(
            runs.size() > 1
                ? "these are parts of different runs, whose sums are added; chunks that are missing or there "
                  "twice are not looked for"
                : "not all files say which chunks they hold; such that are missing or there twice are not "
                  "looked for");
    Merged merged;
    for (const std::filesystem::path& path : paths) {
        imatrix::Matrix matrix = load(path);
        gguf::Metadata kept(matrix.extra.where());
        for (const auto& [name, value] : matrix.extra.values())
            if (!name.starts_with(kPrefix)) kept.set(name, value);
        matrix.extra = std::move(kept);
        imatrix::merge(merged.matrix, matrix, notes);
    }
    return merged;
}

void forget_part(Merged& merged) {
    if (!merged.part) return;
    gguf::Metadata kept(merged.matrix.extra.where());
    for (const auto& [name, value] : merged.matrix.extra.values())
        if (!name.starts_with(kPrefix) && !name.ends_with("_low")) kept.set(name, value);
    merged.matrix.extra = std::move(kept);
}

}  // namespace assay::calibrate
