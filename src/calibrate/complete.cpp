#include "calibrate/complete.h"

#include <string_view>

#include "model/visit.h"

namespace assay::calibrate {

namespace {

template <typename Body> void for_each_step(const model::Program& program, const Body& body) {
    for (const model::Stage* stage : model::collected_stages(program))
        for (const model::Step& step : stage->steps) body(step.operation);
}

}  // namespace

std::map<std::string, std::string> latent_entries(const gguf::File& file, const model::Program& program) {
    constexpr std::string_view kNorm = "attn_kv_a_norm.weight";
    std::map<std::string, std::string> entries;
    for_each_step(program, [&](const model::Operation& operation) {
        const auto* normalise = std::get_if<model::Normalise>(&operation);
        if (normalise == nullptr || !normalise->norm.weight.name.ends_with(kNorm)) return;
        const std::string& norm = normalise->norm.weight.name;
        const std::string block = norm.substr(0, norm.size() - kNorm.size());
        // Where the file has attn_k_b, that is what the program multiplies with.
        if (file.find(block + "attn_k_b.weight") != nullptr) entries[norm] = block + "attn_kv_b.weight";
    });
    return entries;
}

Stacks stacked_weights(const gguf::File& file, const model::Program& program) {
    Stacks stacks;
    for_each_step(program, [&](const model::Operation& operation) {
        const auto* product = std::get_if<model::Product>(&operation);
        if (product == nullptr || product->n_heads < 2) return;
        for (const model::Linear& linear : product->linears)
            if (file.get(linear.weight.name).ne[2] == 1) stacks[linear.weight.name] = product->n_heads;
    });
    return stacks;
}

}  // namespace assay::calibrate
