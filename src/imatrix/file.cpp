#include "imatrix/file.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"
#include "imatrix/formats.h"

namespace assay::imatrix {

namespace {

void check_entry(const std::string& name, const Entry& entry) {
    const bool counts_fit =
        !entry.counts.empty() && !entry.sum_sq.empty() && entry.sum_sq.size() % entry.counts.size() == 0;
    const auto fits = [](std::size_t low, std::size_t sums) { return low == 0 || low == sums; };
    if (!counts_fit || !fits(entry.sum.size(), entry.sum_sq.size()) ||
        !fits(entry.sum_sq_low.size(), entry.sum_sq.size()) || !fits(entry.sum_low.size(), entry.sum.size()))
        throw_error(ErrorKind::Shape, name, "{} sums of squares, {} sums and {} counts do not fit together",
                    entry.sum_sq.size(), entry.sum.size(), entry.counts.size());
}

}  // namespace

float narrow(double value, const std::string& name) {
    if (!(std::abs(value) <= FLT_MAX))
        throw_error(ErrorKind::Numeric, name, "holds the sum {}, which is not finite in 32 bits", value);
    return static_cast<float>(value);
}

Format format_for(const std::filesystem::path& path, std::optional<Format> asked, Form form) {
    const Format format = asked ? *asked : path.extension() == ".gguf" ? Format::Gguf : Format::Legacy;
    return format == Format::Gguf && form == Form::Of2025 ? Format::Gguf2025 : format;
}

Matrix parse(std::span<const std::byte> bytes, const std::string& where, const LoadOptions& options,
             Notes& notes) {
    if (options.chunk_size == 0u)
        throw_error(ErrorKind::Usage, where, "cannot be read with chunks of 0 tokens");
    if (gguf::has_magic(bytes)) return parse_gguf(bytes, where, options, notes);
    return parse_legacy(bytes, where, options, notes);
}

Matrix load(const std::filesystem::path& path, const LoadOptions& options, Notes& notes) {
    const MappedFile file(path);
    return parse(file.bytes(), path.string(), options, notes);
}

FileContent content(const Matrix& matrix, Format format, Notes& notes) {
    if (matrix.chunk_size == 0)
        throw_error(ErrorKind::Shape, "matrix", "its chunk size is not known, so its counts mean nothing");
    if (std::ranges::all_of(matrix.entries, [](const auto& item) { return item.second.max_count() == 0; }))
        throw Error(ErrorKind::Shape, "matrix", "it holds no data, so none is stored");
    for (const auto& [name, entry] : matrix.entries) check_entry(name, entry);
    if (format == Format::Legacy) return legacy_content(matrix, notes);
    return gguf_content(matrix, format, notes);
}

std::vector<std::byte> serialise(const Matrix& matrix, Format format, Notes& notes) {
    const FileContent file = content(matrix, format, notes);
    std::vector<std::byte> bytes;
    bytes.reserve(file.size_bytes);
    file.write(
        [&](std::span<const std::byte> piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
    return bytes;
}

void save(const Matrix& matrix, const std::filesystem::path& path, Format format, Notes& notes) {
    write_file_atomically(path, content(matrix, format, notes));
}

}  // namespace assay::imatrix
