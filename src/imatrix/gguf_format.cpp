// Keys, in order: general.type, imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size,
// imatrix.n_layer_nextn (only above 0), imatrix.stats_schema, assay.*. Tensors per weight, in bytewise order
// of names: NAME.in_sum2, NAME.counts, NAME.in_sum where it is known, and NAME.stats; of an exact file, what
// F32 lacks, where that is anything: NAME.in_sum2_rest, NAME.in_sum_rest and NAME.counts_rest (F64).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/exact_sum.h"
#include "gguf/file.h"
#include "gguf/limits.h"
#include "gguf/writer.h"
#include "imatrix/entry_stats.h"
#include "imatrix/formats.h"
#include "imatrix/view_names.h"

namespace assay::imatrix {

namespace {

constexpr std::string_view kSumSq = ".in_sum2";
constexpr std::string_view kSumSqOld = ".sums";  // of files made while the format was being designed
constexpr std::string_view kCounts = ".counts";
constexpr std::string_view kSum = ".in_sum";
constexpr std::string_view kStats = ".stats";
constexpr float kMaxCount = 0x1p62f;
/// Weighted rows count in these parts of one; others are rounded to them.
constexpr double kCountSteps = 1024;

constexpr std::string_view kSumSqRest = ".in_sum2_rest";
constexpr std::string_view kCountsRest = ".counts_rest";
constexpr std::string_view kSumRest = ".in_sum_rest";
constexpr std::string_view kOurs = "assay.";

std::string join(std::string_view prefix, std::string_view name) { return std::string(prefix).append(name); }

// ---- Reading ----

/// The tensors of one weight, as found.
struct Parts {
    const gguf::Tensor* sum_sq = nullptr;
    const gguf::Tensor* counts = nullptr;
    const gguf::Tensor* sum = nullptr;
    const gguf::Tensor* sum_sq_rest = nullptr;
    const gguf::Tensor* counts_rest = nullptr;
    const gguf::Tensor* sum_rest = nullptr;
};

class Reader {
  public:
    Reader(std::span<const std::byte> bytes, const std::string& where)
        : bytes_(bytes), where_(where), header_(gguf::parse_header(bytes, where)) {}

    const gguf::Metadata& metadata() const noexcept { return header_.metadata; }

    std::map<std::string, Parts, std::less<>> parts() const {
        std::map<std::string, Parts, std::less<>> found;
        for (const gguf::Tensor& tensor : header_.tensors) {
            const std::string_view name = tensor.name;
            const auto keep = [&](std::string_view suffix, const gguf::Tensor* Parts::*part) {
                if (name.ends_with(suffix))
                    found[std::string(name.substr(0, name.size() - suffix.size()))].*part = &tensor;
            };
            keep(kSumSq, &Parts::sum_sq);
            keep(kSumSqOld, &Parts::sum_sq);
            keep(kCounts, &Parts::counts);
            keep(kSum, &Parts::sum);
            keep(kSumSqRest, &Parts::sum_sq_rest);
            keep(kCountsRest, &Parts::counts_rest);
            keep(kSumRest, &Parts::sum_rest);
        }
        return found;
    }

    Entry entry(const std::string& name, const Parts& parts) const {
        if (parts.sum_sq == nullptr || parts.counts == nullptr ||
            parts.sum_sq->elements() % parts.counts->elements() != 0 ||
            (parts.sum != nullptr && parts.sum->elements() != parts.sum_sq->elements()))
            throw_error(ErrorKind::BadFile, where_, "mismatched sums and counts for {}: {}", name,
                        shapes(parts));
        Entry entry;
        entry.sum_sq = sums(*parts.sum_sq, 0.0, parts.sum_sq_rest, entry.sum_sq_low);
        if (parts.sum != nullptr) entry.sum = sums(*parts.sum, -HUGE_VAL, parts.sum_rest, entry.sum_low);
        entry.counts = counts(*parts.counts, parts.counts_rest);
        entry.width = entry.columns_per_count();
        // Files from before August 2025 count per head what every head saw alike.
        if (name.find(".attn_") != std::string::npos) collapse_counts(entry);
        return entry;
    }

  private:
    static std::string shapes(const Parts& parts) {
        const auto shape = [](const gguf::Tensor* tensor) {
            return tensor == nullptr ? std::string("absent") : tensor->shape_text();
        };
        return fmt::format("in_sum2 {}, counts {}, in_sum {}", shape(parts.sum_sq), shape(parts.counts),
                           shape(parts.sum));
    }

    std::vector<float> values(const gguf::Tensor& tensor) const {
        if (tensor.type->id != quant::TypeId::F32)
            throw_error(ErrorKind::BadFile, where_, "tensor {} has type {}, expected f32", tensor.name,
                        tensor.type->name);
        std::vector<float> values(tensor.elements());
        std::memcpy(values.data(), bytes_.data() + tensor.offset_bytes, tensor.size_bytes);
        return values;
    }

    [[noreturn]] void refuse(const gguf::Tensor& tensor, std::size_t i, float found,
                             std::string_view expected) const {
        throw_error(ErrorKind::BadFile, where_, "tensor {} holds {} at byte {}, expected {}", tensor.name,
                    found, tensor.offset_bytes + i * sizeof(float), expected);
    }

    /// Values in F64 beside those of a tensor, as many.
    std::vector<double> rests(const gguf::Tensor& tensor, std::size_t n) const {
        if (tensor.type->id != quant::TypeId::F64 || tensor.elements() != n)
            throw_error(ErrorKind::BadFile, where_, "tensor {} is {} {}, expected {} of f64", tensor.name,
                        tensor.type->name, tensor.shape_text(), n);
        std::vector<double> values(n);
        std::memcpy(values.data(), bytes_.data() + tensor.offset_bytes, tensor.size_bytes);
        return values;
    }

    /// What stands in F32, and what that lacks of the exact sums, which must round to it.
    std::vector<double> sums(const gguf::Tensor& tensor, double at_least, const gguf::Tensor* rest,
                             std::vector<float>& low) const {
        const std::vector<float> stored = values(tensor);
        for (std::size_t i = 0; i < stored.size(); ++i)
            if (!std::isfinite(stored[i]) || double{stored[i]} < at_least)
                refuse(tensor, i, stored[i], at_least == 0.0 ? "a finite sum of squares" : "a finite sum");
        std::vector<double> high(stored.begin(), stored.end());
        if (rest == nullptr) return high;
        const std::vector<double> missing = rests(*rest, stored.size());
        low.resize(stored.size());
        ExactSums{high, low}.add(std::span(missing));
        for (std::size_t i = 0; i < stored.size(); ++i)
            if (!(high[i] >= at_least) || static_cast<float>(high[i]) != stored[i])
                contradicted(*rest, tensor, i);
        if (std::ranges::all_of(low, [](float value) { return value == 0; })) low = {};
        return high;
    }

    std::vector<double> counts(const gguf::Tensor& tensor, const gguf::Tensor* rest) const {
        const std::vector<float> stored = values(tensor);
        std::vector<double> counts(stored.size());
        for (std::size_t i = 0; i < stored.size(); ++i) {
            if (!(stored[i] >= 0 && stored[i] <= kMaxCount)) refuse(tensor, i, stored[i], "a count");
            counts[i] = std::round(double{stored[i]} * kCountSteps) / kCountSteps;
        }
        if (rest == nullptr) return counts;
        const std::vector<double> missing = rests(*rest, stored.size());
        for (std::size_t i = 0; i < stored.size(); ++i) {
            counts[i] = double{stored[i]} + missing[i];
            if (!(counts[i] >= 0) || static_cast<float>(counts[i]) != stored[i])
                contradicted(*rest, tensor, i);
        }
        return counts;
    }

    [[noreturn]] void contradicted(const gguf::Tensor& rest, const gguf::Tensor& tensor,
                                   std::size_t i) const {
        throw_error(ErrorKind::BadFile, where_, "tensor {} contradicts {} at element {}", rest.name,
                    tensor.name, i);
    }

    std::span<const std::byte> bytes_;
    const std::string& where_;
    gguf::Header header_;
};

void read_n_layer_nextn(const gguf::Metadata& metadata, Matrix& matrix) {
    const std::int64_t stored = metadata.find_integer("imatrix.n_layer_nextn").value_or(0);
    if (stored < 0 || stored > Matrix::kMostNextN)
        throw_error(ErrorKind::BadFile, metadata.where(), "imatrix.n_layer_nextn is {}, expected 0 to {}",
                    stored, Matrix::kMostNextN);
    matrix.n_layer_nextn = static_cast<std::uint32_t>(stored);
}

void read_chunk_size(const gguf::Metadata& metadata, const LoadOptions& options, Matrix& matrix,
                     Notes& notes) {
    const auto stored = metadata.find_integer("imatrix.chunk_size");
    if (!stored) {
        matrix.chunk_size = options.chunk_size.value_or(kDefaultChunkSize);
        notes.push_back(fmt::format("{}: no imatrix.chunk_size; chunks of {} tokens are assumed",
                                    metadata.where(), matrix.chunk_size));
        return;
    }
    if (*stored <= 0 || *stored > UINT32_MAX)
        throw_error(ErrorKind::BadFile, metadata.where(), "imatrix.chunk_size is {}, expected 1 to 2^32 - 1",
                    *stored);
    matrix.chunk_size = static_cast<std::uint32_t>(*stored);
    matrix.chunk_size_stored = true;
    if (options.chunk_size && *options.chunk_size != matrix.chunk_size)
        notes.push_back(fmt::format("{}: made with chunks of {} tokens; the {} asked for are not used for it",
                                    metadata.where(), matrix.chunk_size, *options.chunk_size));
}

// ---- Writing ----

/// n values of type T, made a block at a time: a file takes no memory of its size.
template <typename T, typename Make>
void put_values(std::size_t n, const Make& make, const gguf::Writer::Out& out) {
    constexpr std::size_t kBlock = std::size_t{1} << 14;
    std::vector<T> block;
    for (std::size_t first = 0; first < n; first += kBlock) {
        block.clear();
        for (std::size_t i = first; i < std::min(n, first + kBlock); ++i) block.push_back(make(i));
        out(std::as_bytes(std::span(block)));
    }
}

/// Tensors of numbers, which are borrowed until the writer has written. What cannot be stored is refused
/// before.
class TensorStore {
  public:
    explicit TensorStore(gguf::Writer& writer) : writer_(writer) {}

    void add(const std::string& weight, std::string_view suffix, std::uint64_t width,
             const std::vector<double>& from) {
        for (const double value : from) narrow(value, weight);
        writer_.add_tensor(join(weight, suffix), {width, from.size() / width}, quant::TypeId::F32,
                           [&from](const gguf::Writer::Out& out) {
                               put_values<float>(
                                   from.size(), [&](std::size_t i) { return static_cast<float>(from[i]); },
                                   out);
                           });
    }
    void add_stats(const EntryStats& stats) {
        const auto numbers = stats.numbers();
        const std::vector<float> data(numbers.begin(), numbers.end());
        writer_.add_tensor(join(stats.name, kStats), {data.size()}, quant::TypeId::F32,
                           [data](const gguf::Writer::Out& out) { out(std::as_bytes(std::span(data))); });
    }

    /// What F32 lacks of these sums, where that is anything.
    void add_rest(const std::string& weight, std::string_view suffix, std::uint64_t width,
                  const std::vector<double>& sums, const std::vector<float>& low) {
        const auto rest = [&sums, &low](std::size_t i) {
            return (sums[i] - double{static_cast<float>(sums[i])}) + (low.empty() ? 0.0 : double{low[i]});
        };
        std::size_t first = 0;
        while (first < sums.size() && rest(first) == 0) ++first;
        if (first == sums.size()) return;
        writer_.add_tensor(
            join(weight, suffix), {width, sums.size() / width}, quant::TypeId::F64,
            [rest, n = sums.size()](const gguf::Writer::Out& out) { put_values<double>(n, rest, out); });
    }

  private:
    gguf::Writer& writer_;
};

bool fits(const std::string& name, Format format, Notes& notes) {
    const std::string_view longest = format == Format::GgufExact ? kSumSqRest : kSumSq;
    if (name.size() + longest.size() <= gguf::limits::kNameBytes) return true;
    notes.push_back(fmt::format(
        "entry {} is not stored: its name has {} bytes, and readers of GGUF accept {} after '{}' is added",
        name, name.size(), gguf::limits::kNameBytes - longest.size(), longest));
    return false;
}

}  // namespace

Matrix parse_gguf(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
                  Notes& notes) {
    const Reader reader(bytes, where);
    Matrix matrix;
    EntryNames names;
    for (const auto& [name, parts] : reader.parts())
        names.add(matrix, name, reader.entry(name, parts), where);
    names.tell(where, notes);
    if (matrix.entries.empty())
        throw_error(ErrorKind::BadFile, where, "no data in file: it has no tensor NAME{}", kSumSq);
    if (const gguf::Strings* datasets = reader.metadata().find_strings("imatrix.datasets"))
        matrix.datasets = *datasets;
    read_chunk_size(reader.metadata(), options, matrix, notes);
    read_n_layer_nextn(reader.metadata(), matrix);
    matrix.recount_chunks();
    matrix.extra = gguf::Metadata(where);
    for (const auto& [key, value] : reader.metadata().values())
        if (key.starts_with(kOurs)) matrix.extra.set(key, value);
    return matrix;
}

FileContent gguf_content(const Matrix& matrix, Format format, Notes& notes) {
    static const std::vector<float> kNothing;
    const MatrixStats stats = format == Format::Gguf2025 ? MatrixStats{} : matrix_stats(matrix);
    auto next_stats = stats.entries.begin();
    const auto file = std::make_shared<gguf::Writer>();
    gguf::Writer& writer = *file;
    TensorStore store(writer);
    writer.add("general.type", gguf::text("imatrix"));
    writer.add("imatrix.datasets", gguf::texts(matrix.datasets));
    writer.add("imatrix.chunk_count", gguf::u32(matrix.chunk_count));
    writer.add("imatrix.chunk_size", gguf::u32(matrix.chunk_size));
    if (format != Format::Gguf2025) {
        if (matrix.n_layer_nextn > 0) writer.add("imatrix.n_layer_nextn", gguf::u32(matrix.n_layer_nextn));
        writer.add("imatrix.stats_schema", gguf::texts({kStatNames.begin(), kStatNames.end()}));
    }
    for (const auto& [key, value] : matrix.extra.values()) writer.add(key, value);
    for (const auto& [name, entry] : matrix.entries) {
        const EntryStats* entry_stats = format == Format::Gguf2025 ? nullptr : &*next_stats++;
        if (!fits(name, format, notes)) continue;
        if (entry.n_missing() != 0) notes.push_back(entry.partial_note(name));
        const std::uint64_t columns = entry.columns_per_count();
        store.add(name, kSumSq, columns, entry.sum_sq);
        store.add(name, kCounts, 1, entry.counts);
        if (!entry.sum.empty()) store.add(name, kSum, columns, entry.sum);
        if (entry_stats != nullptr) store.add_stats(*entry_stats);
        if (format != Format::GgufExact) continue;
        store.add_rest(name, kSumSqRest, columns, entry.sum_sq, entry.sum_sq_low);
        store.add_rest(name, kCountsRest, 1, entry.counts, kNothing);
        if (!entry.sum.empty()) store.add_rest(name, kSumRest, columns, entry.sum, entry.sum_low);
    }
    return {writer.size_bytes(), [file](const FileContent::Out& out) { file->write(out); }};
}

}  // namespace assay::imatrix
