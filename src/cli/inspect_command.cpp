// `assay inspect`: what a model or a matrix file holds.
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "calibrate/inventory.h"
#include "calibrate/missing_experts.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"
#include "gguf/file.h"
#include "model/print.h"
#include "model/registry.h"
#include "recipe/policy.h"
#include "report/statistics_text.h"
#include "stats/coverage.h"

namespace assay::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownElements = 5;
constexpr std::size_t kShownBytes = 200;
std::string dump(const Json& value, int indent) {
    return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const gguf::Value& value) {
    if (value.type == gguf::ValueType::Bool) return std::get<std::int64_t>(value.data) != 0;
    if (value.type == gguf::ValueType::U64)
        return static_cast<std::uint64_t>(std::get<std::int64_t>(value.data));
    return std::visit([](const auto& data) { return Json(data); }, value.data);
}

/// Long arrays and texts are shortened, the length is told instead.
std::string short_text(const gguf::Value& value) {
    const Json json = to_json(value);
    if (json.is_string()) {
        const auto& text = json.get_ref<const std::string&>();
        const std::string shown = dump(text.substr(0, kShownBytes), -1);
        return text.size() > kShownBytes ? fmt::format("{}... ({} bytes)", shown, text.size()) : shown;
    }
    if (!json.is_array() || json.size() <= kShownElements) return dump(json, -1);
    std::string out = "[";
    for (std::size_t i = 0; i < kShownElements; ++i) out += dump(json[i], -1) + ", ";
    return out + fmt::format("...] ({} values)", json.size());
}

struct Total {
    std::uint64_t tensors = 0;
    std::uint64_t elements = 0;
    std::uint64_t bytes = 0;
    double bits_per_weight() const {
        return elements == 0 ? 0 : 8 * static_cast<double>(bytes) / static_cast<double>(elements);
    }
    void add(const gguf::Tensor& tensor) {
        ++tensors;
        elements += tensor.elements();
        bytes += tensor.size_bytes;
    }
};

/// By name of the type; the last element, without a name, is the sum.
std::vector<std::pair<std::string, Total>> totals_of(const gguf::File& file) {
    std::map<std::string, Total> by_type;
    Total sum;
    for (const gguf::Tensor& tensor : file.tensors()) {
        by_type[std::string(tensor.type->name)].add(tensor);
        sum.add(tensor);
    }
    std::vector<std::pair<std::string, Total>> out(by_type.begin(), by_type.end());
    out.emplace_back("", sum);
    return out;
}

std::string gguf_text(const gguf::File& file) {
    std::string out =
        fmt::format("{}: GGUF version {}, {} file(s), {}\n\nmetadata\n", printable(file.where()),
                    file.version(), file.n_shards(), size_text(static_cast<double>(file.size_bytes())));
    for (const auto& [key, value] : file.metadata().values())
        out += fmt::format("  {} = {}\n", printable(key), short_text(value));
    out += "\ntensors\n";
    for (const gguf::Tensor& tensor : file.tensors())
        out += fmt::format("  {:<48} {:<8} {:<24} {}\n", printable(tensor.name), tensor.type->name,
                           tensor.shape_text(), size_text(static_cast<double>(tensor.size_bytes)));
    out += "\ntotals\n";
    for (const auto& [type, total] : totals_of(file))
        out += fmt::format("  {:<8} {:>5} tensors  {:>14} elements  {:>12}  {:.3f} bits per weight\n",
                           type.empty() ? "all" : type, total.tensors, total.elements,
                           size_text(static_cast<double>(total.bytes)), total.bits_per_weight());
    return out;
}

std::string gguf_json(const gguf::File& file) {
    Json out;
    out["file"] = file.where();
    out["version"] = file.version();
    out["files"] = file.n_shards();
    out["bytes"] = file.size_bytes();
    out["metadata"] = Json::object();
    for (const auto& [key, value] : file.metadata().values()) out["metadata"][key] = to_json(value);
    out["tensors"] = Json::array();
    for (const gguf::Tensor& tensor : file.tensors()) {
        const Json shape(std::vector<std::uint64_t>(tensor.ne.begin(), tensor.ne.begin() + tensor.n_dims));
        out["tensors"].push_back({{"name", tensor.name},
                                  {"type", tensor.type->name},
                                  {"shape", shape},
                                  {"bytes", tensor.size_bytes}});
    }
    out["totals"] = Json::array();
    for (const auto& [type, total] : totals_of(file))
        out["totals"].push_back({{"type", type.empty() ? Json() : Json(type)},
                                 {"tensors", total.tensors},
                                 {"elements", total.elements},
                                 {"bytes", total.bytes},
                                 {"bits_per_weight", total.bits_per_weight()}});
    return dump(out, 2) + "\n";
}

std::string program_text(const gguf::File& file, std::int64_t n_ctx, std::optional<std::int64_t> layer) {
    const model::Program program = model::build(file, {n_ctx, true});
    const auto n_layers = static_cast<std::int64_t>(program.layers.size());
    if (layer && *layer >= n_layers)
        throw_error(ErrorKind::Usage, "--layer", "{} is none of the {} layers, which count from 0", *layer,
                    n_layers);
    return model::to_text(program, layer);
}

Json entries_json(const imatrix::Matrix& matrix) {
    Json out = Json::array();
    for (const auto& [name, entry] : matrix.entries) {
        const auto whole = static_cast<std::uint64_t>(entry.max_count());
        const bool is_whole = static_cast<double>(whole) == entry.max_count();
        out.push_back({{"name", name},
                       {"columns", entry.sum_sq.size()},
                       {"rows", is_whole ? Json(whole) : Json(entry.max_count())}});
    }
    return out;
}

std::string legacy_text(const std::string& path, const imatrix::Matrix& matrix) {
    std::string out = fmt::format("{}: legacy importance matrix, {} entries, {} chunks\n", printable(path),
                                  matrix.entries.size(), matrix.chunk_count);
    for (const std::string& dataset : matrix.datasets)
        out += fmt::format("  dataset {}\n", printable(dataset));
    for (const auto& [name, entry] : matrix.entries)
        out += fmt::format("  {:<48} {:>10} columns\n", printable(name), entry.sum_sq.size());
    return out;
}

std::string legacy_json(const std::string& path, const imatrix::Matrix& matrix) {
    Json out;
    out["file"] = path;
    out["format"] = "legacy importance matrix";
    out["datasets"] = matrix.datasets;
    out["chunk_count"] = matrix.chunk_count;
    out["entries"] = entries_json(matrix);
    return dump(out, 2) + "\n";
}

bool is_matrix(const gguf::File& file) {
    return file.metadata().find_string("general.type").value_or("") == "imatrix";
}

/// Which experts and weights a matrix has seen; with the model, what it has for each of the model's tensors.
std::string coverage_text(const imatrix::Matrix& matrix, const std::string& model) {
    std::vector<std::string> expected;
    std::string inventory;
    if (!model.empty()) {
        const gguf::File file = gguf::File::open(model);
        const calibrate::Inventory taken = calibrate::take_inventory(file, model::build(file, {1}), matrix);
        expected = taken.unexplained();
        inventory = fmt::format("\ntensors of {}: {}\n{}\n", printable(model), taken.sentence(),
                                fmt::join(taken.lines(), "\n"));
    }
    stats::Coverage coverage = stats::coverage(matrix, expected);
    coverage.demanding_types = recipe::types_needing_data();
    std::string out = "\n" + report::coverage_text(coverage);
    for (const auto as : {calibrate::MissingExperts::One, calibrate::MissingExperts::All})
        for (const auto& [tensor, experts] : calibrate::marked_experts(matrix, as))
            out +=
                fmt::format("  {}: {} in place of no token: experts {}\n", printable(tensor),
                            as == calibrate::MissingExperts::One ? "mean 1" : "all tokens of the last wave",
                            fmt::join(experts, ", "));
    return out + inventory;
}

}  // namespace

int inspect_command(const Arguments& arguments) {
    const std::string& path = arguments.files.front();
    const bool json = arguments.numbers == NumbersAs::Json;
    if (arguments.program && json)
        throw Error(ErrorKind::Usage, "inspect", "--program is text; give --json or --program");
    if (arguments.layer && !arguments.program)
        throw Error(ErrorKind::Usage, "--layer", "is of --program, which is not given");
    const std::string model = arguments.options.model.string();
    if (arguments.program) {
        print(program_text(gguf::File::open(path), arguments.options.n_ctx, arguments.layer));
        return 0;
    }
    if (gguf::has_magic(MappedFile(path).bytes())) {
        const gguf::File file = gguf::File::open(path);
        if (!is_matrix(file)) {
            if (!model.empty())
                throw Error(ErrorKind::Usage, "--model", "is for a matrix; " + path + " is none");
            print(json ? gguf_json(file) : gguf_text(file));
            return 0;
        }
        imatrix::Notes notes;
        print(json ? gguf_json(file)
                   : gguf_text(file) + coverage_text(imatrix::load(path, {}, notes), model));
        return 0;
    }
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, {}, notes);
    print(json ? legacy_json(path, matrix) : legacy_text(path, matrix) + coverage_text(matrix, model));
    return 0;
}

}  // namespace assay::cli
