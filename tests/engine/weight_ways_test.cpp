// Where weights and states are while a pass runs must not change what it finds.
#include <algorithm>
#include <deque>
#include <fstream>
#include <gtest/gtest.h>
#include <map>

#include "backend/open.h"
#include "core/error.h"
#include "core/file.h"
#include "engine/pass.h"
#include "engine/small_model.h"
#include "model/registry.h"

namespace assay::engine {
namespace {

class WeightWays : public testing::TestWithParam<std::string> {
  protected:
    plan::PassOptions options() const {
        plan::PassOptions options;
        options.n_ctx = kContext;
        options.similarity = true;
        return options;
    }

    SmallModel model_{GetParam()};
    ThreadPool pool_{2};
    std::unique_ptr<backend::Backend> backend_ =
        backend::open({"cpu", backend::Precision::Auto, {}, kContext}, pool_);
};

TEST_P(WeightWays, StreamedSpilledAndKeptAgreeWithMapped) {
    const plan::PassPlan plan(model_.file, model_.program, *backend_, options());
    Pass mapped(plan, *backend_, {});
    const RecordingSink expected = model_.run(mapped);
    ASSERT_FALSE(expected.inputs.empty());
    ASSERT_EQ(expected.losses.size(), static_cast<std::size_t>(kChunks));

    Pass streamed(plan, *backend_, {.stream = true, .spill_folder = {}});
    EXPECT_TRUE(model_.run(streamed) == expected);
    EXPECT_GT(streamed.times().reading, 0);

    const test::TempDir folder;
    Pass spilled(plan, *backend_, {.spill_folder = folder.path()});
    EXPECT_TRUE(model_.run(spilled) == expected);

    Pass kept(plan, *backend_, {.keep_weights = true, .spill_folder = {}});
    EXPECT_TRUE(model_.run(kept) == expected);
    EXPECT_TRUE(model_.run(kept) == expected) << "second wave, from kept weights";
}

/// The model without the first row of some weights. Remembers whether it was given mapped bytes.
class WithoutFirstRow final : public weights::Replacement {
  public:
    WithoutFirstRow(const gguf::File& file, std::vector<std::string> weights)
        : file_(file), weights_(std::move(weights)) {}
    bool replaces(const std::string& weight) const override {
        return std::ranges::find(weights_, weight) != weights_.end();
    }
    backend::WeightSource replace(const std::string&, std::int64_t,
                                  const backend::WeightSource& plain) override {
        const std::span<const std::byte> mapping = file_.shard(0).bytes();
        const std::less<> before;
        n_mapped += !before(plain.bytes.data(), mapping.data()) &&
                    before(plain.bytes.data(), mapping.data() + mapping.size());
        ++n_replaced;
        auto& bytes = kept_.emplace_back(plain.bytes.begin(), plain.bytes.end());
        std::fill_n(bytes.begin(), bytes.size() / static_cast<std::size_t>(plain.n_out), std::byte{0});
        backend::WeightSource source = plain;
        source.bytes = bytes;
        return source;
    }
    void release() override { kept_.clear(); }

    int n_replaced = 0;
    int n_mapped = 0;

  private:
    const gguf::File& file_;
    std::vector<std::string> weights_;
    std::deque<std::vector<std::byte>> kept_;
};

struct RecordedVariants final : VariantSink {
    void on_variant(const VariantChunk& chunk) override {
        for (const backend::Divergence& row : chunk.positions) {
            rows.push_back(row.loss);
            largest[chunk.variant] = std::max(largest[chunk.variant], row.divergence);
        }
    }
    std::vector<double> rows;
    std::map<std::int64_t, double> largest;  ///< divergence, by variant
};

TEST_P(WeightWays, VariantsAreMadeFromWhatWasStreamed) {
    plan::PassOptions options;
    options.n_ctx = kContext;
    options.sums = false;
    std::vector<std::string> all;
    for (const gguf::Tensor& tensor : model_.file.tensors())
        if (tensor.n_dims > 1 && tensor.name.starts_with("blk.") && !tensor.name.ends_with("inp.weight"))
            all.push_back(tensor.name);
    WithoutFirstRow one(model_.file, {"blk.1.attn_output.weight"});
    WithoutFirstRow more(model_.file, all);
    const std::vector<Variant> variants{{&one}, {&more}};
    const auto run = [&](Pass& pass) {
        RecordedVariants sink;
        pass.run_variants(model_.wave(), variants, sink, [](std::int64_t, double) {});
        return sink.rows;
    };
    const plan::PassPlan plan(model_.file, model_.program, *backend_, options);
    Pass mapped(plan, *backend_, {});
    const std::vector<double> expected = run(mapped);
    EXPECT_GT(more.n_mapped, 0);
    more.n_mapped = more.n_replaced = one.n_mapped = 0;
    Pass streamed(plan, *backend_, {.stream = true, .spill_folder = {}});
    EXPECT_EQ(run(streamed), expected);
    EXPECT_GT(more.n_replaced, 0);
    EXPECT_EQ(more.n_mapped + one.n_mapped, 0);
    EXPECT_GT(streamed.times().reading, 0);
}

TEST_P(WeightWays, FilesOfVariantsAreStreamedInTurn) {
    const auto is_late = [](const gguf::Tensor& t) { return t.n_dims > 1 && t.name.starts_with("blk.1."); };
    const auto& tensors = model_.file.tensors();
    const auto changed = std::ranges::find_if(tensors, is_late);
    ASSERT_NE(changed, tensors.end());
    const auto path = model_.fixture.folder().path() / "other.gguf";
    std::filesystem::copy_file(model_.fixture.model(), path);
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(static_cast<std::streamoff>(changed->offset_bytes))
        .write(std::string(changed->size_bytes, '\0').data(),
               static_cast<std::streamsize>(changed->size_bytes));
    const gguf::File other = gguf::File::open(path);
    const model::Program other_program = model::build(other, {kContext});
    plan::PassOptions options;
    options.n_ctx = kContext;
    options.sums = false;
    const plan::PassPlan plan(model_.file, model_.program, *backend_, options);
    const plan::PassPlan same_plan(model_.file, model_.program, *backend_, options);
    const plan::PassPlan other_plan(other, other_program, *backend_, options);
    WithoutFirstRow replacement(model_.file, {changed->name});
    const std::vector<Variant> variants{{&replacement}, {nullptr, &other_plan}, {nullptr, &same_plan}};
    const auto run = [&](Pass& pass) {
        RecordedVariants sink;
        pass.run_variants(model_.wave(), variants, sink, [](std::int64_t, double) {});
        return sink;
    };
    Pass mapped(plan, *backend_, {});
    const RecordedVariants expected = run(mapped);
    EXPECT_GT(expected.largest.at(1), 1e-6) << changed->name;
    EXPECT_EQ(expected.largest.at(2), 0);
    Pass streamed(plan, *backend_, {.stream = true, .spill_folder = {}});
    const RecordedVariants again = run(streamed);
    EXPECT_EQ(again.rows, expected.rows);
    EXPECT_EQ(again.largest, expected.largest);
    EXPECT_GT(streamed.times().reading, 0);
}

TEST_P(WeightWays, AModelThatShrinksWhileStreamedIsAnError) {
    const auto copy = model_.fixture.folder().path() / "shrinking.gguf";
    std::filesystem::copy_file(model_.fixture.model(), copy);
    const gguf::File file = gguf::File::open(copy);
    const plan::PassPlan plan(file, model_.program, *backend_, options());
    Pass pass(plan, *backend_, {.stream = true, .spill_folder = {}});
    // The mapped part of the file's start is still there; weights of the last layers are not.
    std::filesystem::resize_file(copy, std::filesystem::file_size(copy) * 3 / 4);
    EXPECT_THROW(model_.run(pass), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, WeightWays,
                         testing::Values("llama-dense", "llama-moe", "gemma2-dense", "deepseek2-kvb-moe",
                                         "deepseek4-moe", "qwen3next-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

}  // namespace
}  // namespace assay::engine
