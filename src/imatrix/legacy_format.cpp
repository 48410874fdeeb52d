// int32 n_entries, then per entry: int32 name_length, name, int32 ncall, int32 nval, f32[nval] mean square *
// ncall; then, each optional: int32 last_chunk, int32 dataset_length, dataset. Little-endian.
#include <cmath>
#include <limits>

#include "core/bytes.h"
#include "core/content.h"
#include "core/error.h"
#include "imatrix/formats.h"
#include "imatrix/view_names.h"

namespace assay::imatrix {

namespace {

constexpr std::uint64_t kMinEntryBytes = 4 + 1 + 4 + 4 + 4;

/// A length that the format stores signed.
std::uint32_t read_length(ByteReader& in, std::string_view field, std::int32_t at_least) {
    const std::size_t position = in.position();
    const auto length = in.read<std::int32_t>(field);
    if (length < at_least)
        throw_error(ErrorKind::BadFile, in.where(), "{} at byte {} is {}, expected at least {}", field,
                    position, length, at_least);
    return static_cast<std::uint32_t>(length);
}

std::vector<double> read_values(ByteReader& in, const std::string& name, std::uint32_t n, double scale) {
    in.check_count(n, sizeof(float), "values of " + name);
    std::vector<double> values(n);
    for (double& value : values) {
        const std::size_t position = in.position();
        const auto stored = in.read<float>("value");
        if (!std::isfinite(stored) || stored < 0)
            throw_error(ErrorKind::BadFile, in.where(),
                        "entry {} holds {} at byte {}, expected a finite mean of squares", name, stored,
                        position);
        value = double{stored} * scale;
    }
    return values;
}

/// Any four bytes are a number of entries: what does not go on like a matrix is something else.
void check_beginning(std::span<const std::byte> bytes, const std::string& where) {
    constexpr std::uint32_t kMostEntries =
        1'000'000;  // far more than weights; text begins with larger numbers
    ByteReader in(bytes, where);
    try {
        const std::uint32_t n_entries = read_length(in, "number of entries", 1);
        if (n_entries > kMostEntries)
            throw_error(ErrorKind::BadFile, in.where(), "{} entries cannot be", n_entries);
        in.take(read_length(in, "name length", 1), "name");
        read_length(in, "number of calls", 0);
        read_length(in, "number of values", 1);
    } catch (const Error& error) {
        constexpr std::string_view kNeither = "is neither a GGUF file nor a legacy importance matrix";
        if (const std::string_view name = recognise(bytes).name; !name.empty())
            throw_error(ErrorKind::BadFile, where, "{} but {}", kNeither, name);
        throw_error(ErrorKind::BadFile, where, "{}: {}", kNeither, error.message());
    }
}

void read_entry(ByteReader& in, Matrix& matrix, EntryNames& names, Notes& notes) {
    const std::uint32_t name_length = read_length(in, "name length", 1);
    const std::string name(in.take_text(name_length, "name"));
    std::uint32_t n_calls = read_length(in, "number of calls", 0);
    const std::uint32_t n_values = read_length(in, "number of values", 1);
    // Without calls the values are means already (other readers do not divide then).
    if (n_calls == 0) {
        notes.push_back(
            fmt::format("{}: entry {} does not say over how many chunks it was taken; counted as "
                        "one chunk",
                        in.where(), name));
        n_calls = 1;
    }
    Entry entry;
    entry.width = n_values;
    entry.sum_sq = read_values(in, name, n_values, matrix.chunk_size);
    entry.counts = {static_cast<double>(std::uint64_t{n_calls} * matrix.chunk_size)};
    names.add(matrix, name, std::move(entry), in.where());
}

void read_trailer(ByteReader& in, Matrix& matrix, Notes& notes) {
    if (in.remaining() == 0) return;
    in.read<std::int32_t>("last chunk");  // calls or chunks depending on the writer; the counts say it better
    if (in.remaining() == 0) return;
    const std::uint32_t length = read_length(in, "length of the dataset name", 0);
    if (const auto dataset = in.take_text(length, "dataset name"); !dataset.empty())
        matrix.datasets.emplace_back(dataset);
    if (in.remaining() != 0)
        notes.push_back(
            fmt::format("{}: {} bytes after the dataset name are ignored", in.where(), in.remaining()));
}

std::int32_t to_int32(std::uint64_t value, const std::string& name) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
        throw_error(ErrorKind::Shape, name, "has {} where the legacy format holds at most 2^31 - 1", value);
    return static_cast<std::int32_t>(value);
}

std::vector<std::byte> entry_bytes(const std::string& name, const Entry& entry, std::uint32_t chunk_size) {
    ByteWriter out;
    const auto calls = static_cast<std::uint64_t>(std::ceil(entry.max_count() / chunk_size));
    out.write(to_int32(name.size(), name));
    out.write_text(name);
    out.write(to_int32(calls, name));
    out.write(to_int32(entry.sum_sq.size(), name));
    const std::uint64_t columns = entry.columns_per_count();
    const auto scale = static_cast<float>(calls);
    for (std::size_t m = 0; m < entry.counts.size(); ++m) {
        const double count = entry.counts[m];
        for (std::uint64_t i = m * columns; i < (m + 1) * columns; ++i) {
            // Mean and product are both rounded to F32, so that the bytes are those of other writers. An
            // expert without data counts as mean 1, which tells quantisers to weigh its columns alike.
            const float mean = count == 0 ? 1.0f : narrow(entry.sum_sq[i], name) / static_cast<float>(count);
            out.write(narrow(double{mean} * double{scale}, name));
        }
    }
    return out.bytes();
}

}  // namespace

Matrix parse_legacy(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
                    Notes& notes) {
    ByteReader in(bytes, where);
    check_beginning(bytes, where);
    Matrix matrix;
    matrix.extra = gguf::Metadata(where);
    matrix.chunk_size = options.earlier_chunk_size.value_or(options.chunk_size.value_or(kDefaultChunkSize));
    const std::uint32_t n_entries = read_length(in, "number of entries", 1);
    in.check_count(n_entries, kMinEntryBytes, "entries");
    EntryNames names;
    for (std::uint32_t i = 0; i < n_entries; ++i) read_entry(in, matrix, names, notes);
    names.tell(where, notes);
    read_trailer(in, matrix, notes);
    if (!options.chunk_size && !options.earlier_chunk_size)
        notes.push_back(
            fmt::format("{}: the legacy format does not store its chunk size; chunks of {} tokens "
                        "are assumed",
                        where, matrix.chunk_size));
    matrix.recount_chunks();
    return matrix;
}

FileContent legacy_content(const Matrix& matrix, Notes& notes) {
    std::vector<const std::pair<const std::string, Entry>*> kept;
    std::uint64_t size_bytes = 0;
    for (const auto& item : matrix.entries) {
        const auto& [name, entry] = item;
        if (entry.max_count() == 0) {
            notes.push_back(fmt::format("entry '{:>40}' has no data - skipping", name));
            continue;
        }
        if (entry.n_missing() != 0) notes.push_back(entry.partial_note(name));
        size_bytes += entry_bytes(name, entry, matrix.chunk_size).size();  // or it is refused
        kept.push_back(&item);
    }
    if (kept.size() != matrix.entries.size())
        notes.push_back(fmt::format("storing only {} out of {} entries", kept.size(), matrix.entries.size()));
    ByteWriter head, end;
    head.write(to_int32(kept.size(), "matrix"));
    end.write(to_int32(matrix.chunk_count, "matrix"));
    const std::string dataset = matrix.datasets.empty() ? std::string() : matrix.datasets.back();
    end.write(to_int32(dataset.size(), "dataset"));
    end.write_text(dataset);
    size_bytes += head.bytes().size() + end.bytes().size();
    return {size_bytes, [head, end, kept, chunk_size = matrix.chunk_size](const FileContent::Out& out) {
                out(head.bytes());
                for (const auto* item : kept) out(entry_bytes(item->first, item->second, chunk_size));
                out(end.bytes());
            }};
}

}  // namespace assay::imatrix
