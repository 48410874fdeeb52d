#include "calibrate/complete.h"

#include <cmath>
#include <gtest/gtest.h>

#include "calibrate/collector.h"
#include "calibrate/run_fixture.h"
#include "core/thread_pool.h"
#include "gguf/file.h"
#include "model/registry.h"
#include "plan/plan.h"

namespace assay::calibrate {
namespace {

TEST(Complete, FoldsTheColumnsOfAllHeads) {
    const imatrix::Entry entry{6, {1, 2, 3, 10, 20, 30}, {1, 1, 1, 2, 2, 2}, {5}};
    const imatrix::Entry expected{3, {11, 22, 33}, {3, 3, 3}, {10}};
    EXPECT_EQ(fold_heads(entry, 2), expected);
}

/// Sums of two chunks for a weight of two heads, by one wave or two, from nothing or from a folded entry.
imatrix::Entry collected(bool two_waves, imatrix::Matrix start) {
    Collector collector(std::move(start), {{"w", 2}});
    const std::vector<std::string> weights{"w"};
    for (std::int64_t chunk = 0; chunk < 2; ++chunk) {
        const double counts[] = {4};
        engine::InputSums sums;
        sums.weights = weights;
        sums.chunks = {chunk, 1};
        sums.width = 4;
        sums.counts = counts;
        const backend::Totals totals = collector.on_input(sums);
        for (std::size_t i = 0; i < 4; ++i) totals.squares.high[i] += static_cast<double>(i + 1);
        if (two_waves) collector.commit();
    }
    if (!two_waves) collector.commit();
    return collector.committed().matrix.entries.at("w");
}

TEST(Complete, StacksAreKeptFolded) {
    const imatrix::Entry once = collected(false, imatrix::Matrix());
    EXPECT_EQ(once.sum_sq, (std::vector<double>{8, 12}));
    EXPECT_EQ(once.counts, (std::vector<double>{16}));
    EXPECT_EQ(collected(true, imatrix::Matrix()), once);
    imatrix::Matrix start;
    start.entries["w"] = {2, {100, 200}, {1, 1}, {10}};
    const imatrix::Entry continued = collected(true, start);
    EXPECT_EQ(continued.sum_sq, (std::vector<double>{108, 212}));
    EXPECT_EQ(continued.counts, (std::vector<double>{26}));
}

TEST(Complete, TheLatentIsCollectedForTheOtherForm) {
    const test::Fixture fixture("deepseek2-moe");
    Options options = options_for(fixture);
    options.max_chunks = 2;
    Recorder recorder;
    imatrix::Notes notes;
    run(options, recorder);
    const imatrix::Matrix own = imatrix::load(options.output, {}, notes);
    options.complete = true;
    run(options, recorder = {});
    const imatrix::Matrix both = imatrix::load(options.output, {}, notes);
    const gguf::File file = gguf::File::open(fixture.model());
    std::size_t n_more = 0;
    for (const auto& [name, entry] : both.entries) {
        if (own.entries.contains(name)) {
            EXPECT_EQ(entry, own.entries.at(name)) << name;
            continue;
        }
        ++n_more;
        ASSERT_TRUE(name.ends_with("attn_kv_b.weight")) << name;
        // Divided by the norm's weights, the squares of a normalised row add up to its length, but for
        // epsilon.
        const gguf::Tensor& tensor = file.get(
            name.substr(0, name.size() - std::string("attn_kv_b.weight").size()) + "attn_kv_a_norm.weight");
        std::vector<float> gain(tensor.elements());
        tensor.type->decode(file.data(tensor).data(), gain.size(), gain.data());
        ASSERT_EQ(entry.sum_sq.size(), gain.size());
        EXPECT_EQ(entry.counts.front(), static_cast<double>(2 * options.n_ctx));
        double sum = 0;
        for (std::size_t i = 0; i < gain.size(); ++i) sum += entry.sum_sq[i] / std::pow(gain[i], 2);
        EXPECT_NEAR(sum / (entry.counts.front() * static_cast<double>(gain.size())), 1, 1e-2);
    }
    EXPECT_EQ(n_more, model::build(file, {}).layers.size());
    // Who goes on from it hears nothing of entries that are no weights.
    options.in_files = {options.output};
    options.skip_chunks = 2;
    run(options, recorder = {});
    for (const std::string& note : recorder.notes)
        EXPECT_EQ(note.find("are no weights of this model"), std::string::npos);
}

TEST(Complete, TheOtherFormHasNoLatentOfItsOwn) {
    const test::Fixture fixture("deepseek2-kvb-moe");
    const gguf::File file = gguf::File::open(fixture.model());
    EXPECT_TRUE(latent_entries(file, model::build(file, {})).empty());
}

TEST(Complete, ProductsBehindTheLayersAreObservedWhenAskedFor) {
    const test::Fixture fixture("llama-dense");
    const gguf::File file = gguf::File::open(fixture.model());
    model::Program program = model::build(file, {});
    const auto id = static_cast<std::int32_t>(program.values.size());
    program.values.push_back({"more", 1});
    model::Linear linear;
    linear.weight = {"blk.0.attn_q.weight", program.final.cols, 1};
    program.head.steps.push_back({model::Product{program.final, {linear}}, {id, 0, 1}});
    ThreadPool pool(1);
    backend::OpenOptions cpu;
    cpu.device = "cpu";
    const auto backend = backend::open(cpu, pool);
    for (const bool asked : {false, true}) {
        plan::PassOptions options;
        options.observe_head = asked;
        const plan::PassPlan plan(file, program, *backend, options);
        bool observed = false;
        for (const plan::Instruction& instruction : plan.stages().back().instructions)
            observed = observed || !instruction.observed.empty();
        EXPECT_EQ(observed, asked);
    }
}

}  // namespace
}  // namespace assay::calibrate
