#include "recipe/recipe_text.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <string_view>

#include "core/text.h"
#include "recipe/policy.h"

namespace assay::recipe {

using quant::TypeId;

namespace {

std::string_view name_of(TypeId type) { return quant::type_info(type).name; }

std::string shell_word(std::string_view word) {
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:@%,=";
    if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
    if (printable(word) != word) {  // bytes by number: the line stays one line, and means the same to bash
        std::string text = "$'";
        for (const char c : word)
            text += kPlain.find(c) != kPlain.npos ? std::string(1, c)
                                                  : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        return text + "'";
    }
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

/// The options that both quantisers share.
std::string common_options(const Recipe& recipe, std::string_view matrix) {
    std::string text = "llama-quantize";
    if (recipe.requantises) text += " --allow-requantize";
    if (!matrix.empty()) text += " --imatrix " + shell_word(matrix);
    if (recipe.token_embedding_type)
        text += fmt::format(" --token-embedding-type {}", name_of(*recipe.token_embedding_type));
    if (recipe.output_type) text += fmt::format(" --output-tensor-type {}", name_of(*recipe.output_type));
    return text;
}

std::string files(const Recipe& recipe, const CommandNames& names) {
    return fmt::format(" {} {} {}", shell_word(names.model), shell_word(names.output),
                       base_type(recipe.commonest));
}

/// What the tensors of one kind got in all blocks.
struct KindRow {
    std::map<TypeId, std::uint64_t> tensors;
    std::uint64_t elements = 0;
    std::uint64_t bytes = 0;
    double relative = 0.0;
    std::uint64_t measured = 0;
};

std::map<std::string, KindRow> rows_by_kind(const Recipe& recipe) {
    std::map<std::string, KindRow> rows;
    for (const TensorChoice& tensor : recipe.tensors) {
        KindRow& row = rows[tensor.quantised ? split_block(tensor.name).kind : "(others, as stored)"];
        ++row.tensors[tensor.type];
        row.elements += tensor.elements;
        row.bytes += tensor.bytes;
        row.relative += tensor.relative.value_or(0.0);
        row.measured += tensor.relative ? 1 : 0;
    }
    return rows;
}

double bits(std::uint64_t bytes, std::uint64_t elements) {
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
}

}  // namespace

std::string rules_file(const Recipe& recipe) {
    std::string text;
    for (const Rule& rule : recipe.rules) text += rule.text() + "\n";
    return text;
}

std::string custom_q(const Recipe& recipe) {
    std::string text;
    for (const Rule& rule : recipe.rules) text += (text.empty() ? "" : ",") + rule.text();
    return text;
}

std::string llama_command(const Recipe& recipe, const CommandNames& names) {
    std::string text = common_options(recipe, names.matrix);
    if (!recipe.rules.empty()) text += " --tensor-type-file " + shell_word(names.rules);
    return text + files(recipe, names);
}

std::string ik_command(const Recipe& recipe, const CommandNames& names) {
    std::string text = common_options(recipe, names.legacy);
    if (!recipe.rules.empty()) text += " --custom-q " + shell_word(custom_q(recipe));
    return text + files(recipe, names);
}

std::string recipe_text(const Recipe& recipe) {
    constexpr double kMiB = 1024.0 * 1024.0;
    std::string text = fmt::format(
        "size   {:.2f} MiB of tensors, {:.4f} bits per weight (budget {:.2f} MiB); file {} bytes\n"
        "error  {:.6g} ({}); at least {:.6g} within the budget: gap {:.4f}%\n\n",
        static_cast<double>(recipe.tensor_bytes) / kMiB, recipe.bpw(),
        static_cast<double>(recipe.budget_bytes) / kMiB, recipe.file_bytes, recipe.error,
        recipe.in_nats ? "expected divergence in nats" : "sum of relative output errors", recipe.bound,
        100.0 * recipe.gap());
    text += fmt::format("{:<28} {:>7} {:>11}  types\n", "tensors", "bits", "mean error");
    for (const auto& [kind, row] : rows_by_kind(recipe)) {
        const std::string error =
            row.measured == 0 ? "-" : fmt::format("{:.3e}", row.relative / static_cast<double>(row.measured));
        text += fmt::format("{:<28} {:>7.3f} {:>11} ", printable(kind), bits(row.bytes, row.elements), error);
        for (const auto& [type, n] : row.tensors) text += fmt::format(" {} x{}", name_of(type), n);
        text += '\n';
    }
    for (const std::string& note : recipe.notes) text += "note: " + printable(note) + "\n";
    return text;
}

}  // namespace assay::recipe
