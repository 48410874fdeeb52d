// Keys, in order: general.type, imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size,
// imatrix.n_layer_nextn (only above 0), imatrix.stats_schema, assay.*. Tensors per weight, in bytewise order
// of names: NAME.in_sum2, NAME.counts, NAME.in_sum where it is known, and NAME.stats.
#include <cmath>
#include <cstring>

#include "core/error.h"
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

constexpr std::string_view kOurs = "assay.";
constexpr std::string_view kExact = "assay.exact.";
constexpr std::string_view kExactSumSq = "assay.exact.in_sum2.";
constexpr std::string_view kExactSum = "assay.exact.in_sum.";
constexpr std::string_view kExactCounts = "assay.exact.counts.";

std::string join(std::string_view prefix, std::string_view name) { return std::string(prefix).append(name); }

// ---- Reading ----

/// The tensors of one weight, as found.
struct Parts {
    const gguf::Tensor* sum_sq = nullptr;
    const gguf::Tensor* counts = nullptr;
    const gguf::Tensor* sum = nullptr;
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
            const auto weight = [&](std::string_view suffix) {
                return std::string(name.substr(0, name.size() - suffix.size()));
            };
            if (name.ends_with(kSumSq))
                found[weight(kSumSq)].sum_sq = &tensor;
            else if (name.ends_with(kSumSqOld))
                found[weight(kSumSqOld)].sum_sq = &tensor;
            else if (name.ends_with(kCounts))
                found[weight(kCounts)].counts = &tensor;
            else if (name.ends_with(kSum))
                found[weight(kSum)].sum = &tensor;
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
        entry.sum_sq = sums(*parts.sum_sq, 0.0, join(kExactSumSq, name));
        if (parts.sum != nullptr) entry.sum = sums(*parts.sum, -HUGE_VAL, join(kExactSum, name));
        entry.counts = counts(*parts.counts, join(kExactCounts, name));
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

    /// The tensor at F32, or its full-width twin under `exact_key`, which must round to the same.
    std::vector<double> sums(const gguf::Tensor& tensor, double at_least,
                             const std::string& exact_key) const {
        const std::vector<float> stored = values(tensor);
        for (std::size_t i = 0; i < stored.size(); ++i)
            if (!std::isfinite(stored[i]) || double{stored[i]} < at_least)
                refuse(tensor, i, stored[i], at_least == 0.0 ? "a finite sum of squares" : "a finite sum");
        auto exact = metadata().find_reals(exact_key);
        if (!exact) return {stored.begin(), stored.end()};
        check_twin(exact_key, exact->size(), stored.size());
        for (std::size_t i = 0; i < stored.size(); ++i)
            if (static_cast<float>((*exact)[i]) != stored[i]) contradicted(exact_key, tensor.name, i);
        return std::move(*exact);
    }

    std::vector<std::uint64_t> counts(const gguf::Tensor& tensor, const std::string& exact_key) const {
        const std::vector<float> stored = values(tensor);
        std::vector<std::uint64_t> counts(stored.size());
        for (std::size_t i = 0; i < stored.size(); ++i) {
            if (!(stored[i] >= 0 && stored[i] <= kMaxCount)) refuse(tensor, i, stored[i], "a count");
            counts[i] = static_cast<std::uint64_t>(std::llround(stored[i]));
        }
        const gguf::Integers* exact = metadata().find_integers(exact_key);
        if (exact == nullptr) return counts;
        check_twin(exact_key, exact->size(), stored.size());
        for (std::size_t i = 0; i < stored.size(); ++i) {
            if ((*exact)[i] < 0 || static_cast<float>((*exact)[i]) != stored[i])
                contradicted(exact_key, tensor.name, i);
            counts[i] = static_cast<std::uint64_t>((*exact)[i]);
        }
        return counts;
    }

    void check_twin(const std::string& key, std::size_t found, std::size_t expected) const {
        if (found != expected)
            throw_error(ErrorKind::BadFile, where_, "metadata key {} has {} elements, expected {}", key,
                        found, expected);
    }

    [[noreturn]] void contradicted(const std::string& key, const std::string& tensor, std::size_t i) const {
        throw_error(ErrorKind::BadFile, where_, "metadata key {} contradicts tensor {} at element {}", key,
                    tensor, i);
    }

    std::span<const std::byte> bytes_;
    const std::string& where_;
    gguf::Header header_;
};

void read_n_layer_nextn(const gguf::Metadata& metadata, Matrix& matrix) {
    const std::int64_t stored = metadata.find_integer("imatrix.n_layer_nextn").value_or(0);
    if (stored < 0 || stored > UINT32_MAX)
        throw_error(ErrorKind::BadFile, metadata.where(),
                    "imatrix.n_layer_nextn is {}, expected 0 to 2^32 - 1", stored);
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

/// Names and shapes first; the data of all tensors lives here until the writer has taken it.
class TensorStore {
  public:
    explicit TensorStore(gguf::Writer& writer) : writer_(writer) {}

    template <typename T>
    void add(const std::string& weight, std::string_view suffix, std::uint64_t width,
             const std::vector<T>& from) {
        std::vector<float> data;
        data.reserve(from.size());
        for (const T value : from) data.push_back(narrow(static_cast<double>(value), weight));
        add_floats(weight, suffix, width, std::move(data));
    }
    void add_stats(const EntryStats& stats) {
        const auto numbers = stats.numbers();
        add_floats(stats.name, kStats, numbers.size(), {numbers.begin(), numbers.end()});
    }

  private:
    void add_floats(const std::string& weight, std::string_view suffix, std::uint64_t width,
                    std::vector<float> from) {
        const std::vector<float>& data = data_.emplace_back(std::move(from));
        writer_.add_tensor(join(weight, suffix), {width, data.size() / width}, quant::TypeId::F32,
                           std::as_bytes(std::span(data)));
    }

    gguf::Writer& writer_;
    std::vector<std::vector<float>> data_;
};

void add_exact(gguf::Writer& writer, const std::string& name, const Entry& entry) {
    writer.add(join(kExactSumSq, name), gguf::f64s(entry.sum_sq));
    if (!entry.sum.empty()) writer.add(join(kExactSum, name), gguf::f64s(entry.sum));
    writer.add(join(kExactCounts, name),
               gguf::Value{gguf::ValueType::Array, gguf::ValueType::I64,
                           gguf::Integers(entry.counts.begin(), entry.counts.end())});
}

bool fits(const std::string& name, Notes& notes) {
    if (name.size() + kSumSq.size() <= gguf::limits::kNameBytes) return true;
    notes.push_back(fmt::format(
        "entry {} is not stored: its name has {} bytes, and readers of GGUF accept {} after '{}' is added",
        name, name.size(), gguf::limits::kNameBytes - kSumSq.size(), kSumSq));
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
        if (key.starts_with(kOurs) && !key.starts_with(kExact)) matrix.extra.set(key, value);
    return matrix;
}

std::vector<std::byte> serialise_gguf(const Matrix& matrix, Format format, Notes& notes) {
    const MatrixStats stats = format == Format::Gguf2025 ? MatrixStats{} : matrix_stats(matrix);
    auto next_stats = stats.entries.begin();
    gguf::Writer writer;
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
        if (!fits(name, notes)) continue;
        if (entry.n_missing() != 0) notes.push_back(entry.partial_note(name));
        if (format == Format::GgufExact) add_exact(writer, name, entry);
        const std::uint64_t columns = entry.columns_per_count();
        store.add(name, kSumSq, columns, entry.sum_sq);
        store.add(name, kCounts, 1, entry.counts);
        if (!entry.sum.empty()) store.add(name, kSum, columns, entry.sum);
        if (entry_stats != nullptr) store.add_stats(*entry_stats);
    }
    return writer.bytes();
}

}  // namespace assay::imatrix
