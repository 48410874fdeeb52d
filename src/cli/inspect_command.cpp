// assay inspect: what a GGUF model or a matrix of either format holds.
#include <map>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/console.h"
#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"
#include "imatrix/file.h"

namespace assay::cli {

namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kShownElements = 6;
constexpr std::size_t kShownText = 80;

std::string quoted(const std::string& text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename T> std::string list_text(const std::vector<T>& values) {
    std::string text = fmt::format("[{}] ", values.size());
    for (std::size_t i = 0; i < std::min(values.size(), kShownElements); ++i) {
        if (i > 0) text += ", ";
        if constexpr (std::is_same_v<T, std::string>)
            text += quoted(values[i]);
        else
            text += fmt::format("{}", values[i]);
    }
    return text + (values.size() > kShownElements ? ", ..." : "");
}

std::string value_text(const gguf::Value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value.data)) return fmt::format("{}", *integer);
    if (const auto* real = std::get_if<double>(&value.data)) return fmt::format("{}", *real);
    if (const auto* text = std::get_if<std::string>(&value.data))
        return quoted(text->size() > kShownText ? text->substr(0, kShownText) + "..." : *text);
    if (const auto* strings = std::get_if<gguf::Strings>(&value.data)) return list_text(*strings);
    if (const auto* integers = std::get_if<gguf::Integers>(&value.data)) return list_text(*integers);
    return list_text(std::get<gguf::Reals>(value.data));
}

Json value_json(const gguf::Value& value) {
    return std::visit([](const auto& data) { return Json(data); }, value.data);
}

struct TypeTotal {
    std::uint64_t tensors = 0;
    std::uint64_t weights = 0;
    std::uint64_t bytes = 0;
};

std::map<std::string, TypeTotal> totals_of(const gguf::File& file) {
    std::map<std::string, TypeTotal> totals;
    for (const gguf::Tensor& tensor : file.tensors()) {
        TypeTotal& total = totals[std::string(tensor.type->name)];
        ++total.tensors;
        total.weights += tensor.elements();
        total.bytes += tensor.size_bytes;
    }
    return totals;
}

double bits_per_weight(std::uint64_t bytes, std::uint64_t weights) {
    return weights == 0 ? 0 : 8 * static_cast<double>(bytes) / static_cast<double>(weights);
}

std::string gguf_text(const gguf::File& file) {
    std::string out =
        fmt::format("{}: GGUF version {}, {} bytes in {} file(s), {} metadata keys, {} tensors\n\n",
                    file.where(), file.version(), file.size_bytes(), file.n_shards(),
                    file.metadata().values().size(), file.tensors().size());
    for (const auto& [key, value] : file.metadata().values())
        out += fmt::format("  {:<44} {:<7} {}\n", key, to_string(value.type), value_text(value));
    out += "\n";
    for (const gguf::Tensor& tensor : file.tensors())
        out += fmt::format("  {:<40} {:<8} {:<24} {:>14} bytes\n", tensor.name, tensor.type->name,
                           tensor.shape_text(), tensor.size_bytes);
    out += "\n";
    TypeTotal all;
    for (const auto& [name, total] : totals_of(file)) {
        out += fmt::format("  {:<8} {:>6} tensors {:>16} weights {:>16} bytes {:>8.4f} bits per weight\n",
                           name, total.tensors, total.weights, total.bytes,
                           bits_per_weight(total.bytes, total.weights));
        all.tensors += total.tensors;
        all.weights += total.weights;
        all.bytes += total.bytes;
    }
    return out + fmt::format("  {:<8} {:>6} tensors {:>16} weights {:>16} bytes {:>8.4f} bits per weight\n",
                             "all", all.tensors, all.weights, all.bytes,
                             bits_per_weight(all.bytes, all.weights));
}

Json gguf_json(const gguf::File& file) {
    Json result{{"file", file.where()},
                {"format", "gguf"},
                {"version", file.version()},
                {"bytes", file.size_bytes()}};
    for (const auto& [key, value] : file.metadata().values())
        result["metadata"][key] = {{"type", to_string(value.type)}, {"value", value_json(value)}};
    result["tensors"] = Json::array();
    for (const gguf::Tensor& tensor : file.tensors())
        result["tensors"].push_back(
            {{"name", tensor.name},
             {"type", tensor.type->name},
             {"shape",
              std::vector<std::uint64_t>(tensor.ne.begin(), tensor.ne.begin() + std::max(1u, tensor.n_dims))},
             {"offset", tensor.offset_bytes},
             {"bytes", tensor.size_bytes}});
    return result;
}

Json matrix_json(const std::filesystem::path& path, const imatrix::Matrix& matrix) {
    Json result{{"file", path.string()},
                {"format", "legacy"},
                {"datasets", matrix.datasets},
                {"chunk_count", matrix.chunk_count},
                {"entries", Json::array()}};
    for (const auto& [name, entry] : matrix.entries)
        result["entries"].push_back(
            {{"name", name}, {"values", entry.sum_sq.size()}, {"tokens", entry.max_count()}});
    return result;
}

std::string matrix_text(const std::filesystem::path& path, const imatrix::Matrix& matrix) {
    std::string out = fmt::format("{}: legacy importance matrix, {} entries, {} chunks\n", path.string(),
                                  matrix.entries.size(), matrix.chunk_count);
    for (const std::string& dataset : matrix.datasets) out += "  dataset " + quoted(dataset) + "\n";
    for (const auto& [name, entry] : matrix.entries)
        out += fmt::format("  {:<44} {:>9} values {:>10} tokens\n", name, entry.sum_sq.size(),
                           entry.max_count());
    return out;
}

}  // namespace

int run_inspect(const std::vector<std::string>& words) {
    std::optional<std::filesystem::path> path;
    bool json = false;
    for (const std::string& word : words) {
        if (word == "--json")
            json = true;
        else if (word.starts_with("-") || path)
            throw_error(ErrorKind::Usage, word, "unexpected; inspect takes one file and --json");
        else
            path = word;
    }
    if (!path) throw_error(ErrorKind::Usage, "inspect", "needs a file");
    const auto dump = [](const Json& value) {
        return value.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
    };
    if (gguf::has_magic(MappedFile(*path).bytes())) {
        const gguf::File file = gguf::File::open(*path);
        write_stdout(json ? dump(gguf_json(file)) : gguf_text(file));
        return 0;
    }
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(*path, {}, notes);
    for (const std::string& note : notes) write_stderr("assay: note: " + note);
    write_stdout(json ? dump(matrix_json(*path, matrix)) : matrix_text(*path, matrix));
    return 0;
}

}  // namespace assay::cli
