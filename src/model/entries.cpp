#include "model/entries.h"

#include <algorithm>

#include "model/visit.h"

namespace assay::model {

namespace {

void add(std::vector<Entry>& entries, const Weight& weight, bool routed) {
    const auto same = [&](const Entry& entry) { return entry.weight == weight.name; };
    if (std::ranges::none_of(entries, same))
        entries.push_back({weight.name, weight.n_in * weight.n_matrices, routed ? weight.n_matrices : 1});
}

void add_stage(std::vector<Entry>& entries, const Stage& stage) {
    for (const Step& step : stage.steps)
        for (const Linear* linear : linears(step.operation))
            add(entries, linear->weight, std::holds_alternative<Experts>(step.operation));
}

}  // namespace

std::vector<Entry> entries_of(const Program& program, const std::string& observed_output) {
    std::vector<Entry> entries;
    for (const Layer& layer : program.layers)
        for (const Stage& stage : layer.stages) add_stage(entries, stage);
    const Weight& output = program.output.linear.weight;
    if (output.name == observed_output) add(entries, output, false);
    for (const NextN& block : program.nextn) {
        for (const Stage& stage : block.stages) add_stage(entries, stage);
        if (block.output.linear.weight.name != output.name) add(entries, block.output.linear.weight, false);
    }
    return entries;
}

}  // namespace assay::model
