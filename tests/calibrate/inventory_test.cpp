#include "calibrate/inventory.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "calibrate/complete.h"
#include "calibrate/run_fixture.h"
#include "model/registry.h"
#include "model/visit.h"

namespace assay::calibrate {
namespace {

const TensorData& of(const Inventory& inventory, const std::string& name) {
    for (const TensorData& tensor : inventory.tensors)
        if (tensor.name == name) return tensor;
    throw std::runtime_error("no " + name);
}

TEST(Inventory, EveryTensorOfEveryFixtureHasDataOrAReason) {
    for (const std::string& name : test::fixture_names()) {
        const test::Fixture fixture(name);
        const gguf::File file = gguf::File::open(fixture.model());
        const model::Program program = model::build(file, {16});
        imatrix::Matrix matrix;
        for (const auto& [weight, energy] : fixture.matrix()) {
            imatrix::Entry& entry = matrix.entries[weight];
            entry.sum_sq = energy.sums;
            for (const double count : energy.counts) entry.counts.push_back(count);
        }
        std::set<std::string> completed;  // what the peer has not, or in another length
        for (const auto& [weight, n_heads] : stacked_weights(file, program)) completed.insert(weight);
        for (const model::Step& step : program.head.steps)
            for (const model::Linear* linear : model::linears(step.operation))
                completed.insert(linear->weight.name);
        for (const TensorData& tensor : take_inventory(file, program, matrix).tensors)
            EXPECT_TRUE(tensor.has_data || !tensor.reason.empty() ||
                        tensor.rows == "the model runs without it" || completed.contains(tensor.name))
                << name << ": " << tensor.name;
    }
}

TEST(Inventory, SaysWhyATensorHasNoData) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.process_output = false;
    Recorder recorder;
    run(options, recorder);
    const Inventory& inventory = recorder.inventory;
    EXPECT_TRUE(inventory.unexplained().empty());
    EXPECT_EQ(of(inventory, "token_embd.weight").reason, "rows are looked up, not multiplied");
    EXPECT_EQ(of(inventory, "output.weight").reason, "output: only with --process-output");
    EXPECT_EQ(of(inventory, "output_norm.weight").reason, "vectors are never quantised");
    EXPECT_TRUE(of(inventory, "blk.0.attn_q.weight").has_data);
    EXPECT_EQ(of(inventory, "blk.0.attn_q.weight").rows,
              fmt::format("{} tokens", options.n_ctx * options.max_chunks));
    EXPECT_NE(inventory.sentence().find("output: only with --process-output (1)"), std::string::npos);
}

TEST(Inventory, ListsWhatNothingExplains) {
    const test::Fixture fixture("qwen3moe-moe");
    const gguf::File file = gguf::File::open(fixture.model());
    const model::Program program = model::build(file, {});
    imatrix::Matrix matrix;
    matrix.entries["blk.0.attn_q.weight"] = {256, std::vector<double>(256), {}, {7}};
    matrix.entries["blk.0.attn_k.weight"].counts = {0};
    const Inventory inventory = take_inventory(file, program, matrix);
    EXPECT_EQ(of(inventory, "blk.0.attn_k.weight").reason, "no token reached it");
    EXPECT_EQ(of(inventory, "blk.0.ffn_gate_inp.weight").reason, "quantisers leave routers as they are");
    const auto lacking = inventory.unexplained();
    EXPECT_NE(std::ranges::find(lacking, "blk.1.ffn_down_exps.weight"), lacking.end());
    EXPECT_EQ(std::ranges::find(lacking, "blk.0.attn_q.weight"), lacking.end());
    EXPECT_THAT(
        inventory.lines(),
        testing::Contains(testing::HasSubstr("no data: its input was not collected; --complete may do it")));
}

TEST(Inventory, WhatIsNotMultipliedWeighsTheSame) {
    const test::Fixture fixture("llama-dense");
    const gguf::File file = gguf::File::open(fixture.model());
    model::Program program = model::build(file, {});
    // As if a matrix of the model were a table that is added.
    const model::Value x = program.final;
    const model::Vector table{"blk.0.attn_q.weight", 1, {}};
    model::Link link;
    link.kind = LinkKind::Plus;
    link.vector = table;
    program.head.steps.push_back({model::Chain{x, {link}}, x});
    imatrix::Matrix matrix;
    add_equal_weights(file, program, matrix);
    ASSERT_EQ(matrix.entries.size(), 1u);
    const imatrix::Entry& entry = matrix.entries.at("blk.0.attn_q.weight");
    EXPECT_EQ(entry.sum_sq, std::vector<double>(file.get("blk.0.attn_q.weight").ne[0], 1));
    EXPECT_EQ(entry.counts, std::vector<double>{1});
}

}  // namespace
}  // namespace assay::calibrate
