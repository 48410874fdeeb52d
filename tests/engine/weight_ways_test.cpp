// Where weights and states are while a pass runs must not change what it finds.
#include <gtest/gtest.h>
#include <random>

#include "backend/open.h"
#include "core/error.h"
#include "core/file.h"
#include "engine/pass.h"
#include "engine/recording_sink.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::engine {
namespace {

constexpr std::int64_t kContext = 64;
constexpr std::int64_t kChunks = 3;

struct Model {
    explicit Model(const std::string& name)
        : fixture(name), file(gguf::File::open(fixture.model())), spec(model::build(file, {kContext})) {
        std::mt19937 random(1);
        for (std::int64_t i = 0; i < kChunks * kContext; ++i)
            tokens.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(spec.n_vocab)));
    }

    RecordingSink run(Pass& pass) const {
        RecordingSink sink;
        pass.run({0, kChunks, tokens, tokens}, sink, [](std::int64_t) {});
        return sink;
    }

    test::Fixture fixture;
    gguf::File file;
    model::ModelSpec spec;
    std::vector<std::int32_t> tokens;
};

class WeightWays : public testing::TestWithParam<std::string> {
  protected:
    PassOptions options() const {
        PassOptions options;
        options.n_ctx = kContext;
        options.similarity = true;
        return options;
    }

    Model model_{GetParam()};
    ThreadPool pool_{2};
    std::unique_ptr<backend::Backend> backend_ = backend::open({"cpu", backend::Precision::Auto, {}, kContext}, pool_);
};

TEST_P(WeightWays, StreamedSpilledAndKeptAgreeWithMapped) {
    Pass mapped(model_.file, model_.spec, *backend_, options());
    const RecordingSink expected = model_.run(mapped);
    ASSERT_FALSE(expected.inputs.empty());
    ASSERT_EQ(expected.losses.size(), static_cast<std::size_t>(kChunks));

    Pass streamed(model_.file, model_.spec, *backend_, options());
    streamed.stream_weights();
    EXPECT_TRUE(model_.run(streamed) == expected);
    EXPECT_GT(streamed.times().reading, 0);

    const test::TempDir folder;
    Pass spilled(model_.file, model_.spec, *backend_, options());
    spilled.spill_states(folder.path());
    EXPECT_TRUE(model_.run(spilled) == expected);

    PassOptions keep = options();
    keep.keep_weights = true;
    Pass kept(model_.file, model_.spec, *backend_, keep);
    EXPECT_TRUE(model_.run(kept) == expected);
    EXPECT_TRUE(model_.run(kept) == expected) << "second wave, from kept weights";
}

TEST_P(WeightWays, AModelThatShrinksWhileStreamedIsAnError) {
    const auto copy = model_.fixture.folder().path() / "shrinking.gguf";
    std::filesystem::copy_file(model_.fixture.model(), copy);
    const gguf::File file = gguf::File::open(copy);
    Pass pass(file, model_.spec, *backend_, options());
    pass.stream_weights();
    // The mapped part of the file's start is still there; weights of the last layers are not.
    std::filesystem::resize_file(copy, std::filesystem::file_size(copy) * 3 / 4);
    EXPECT_THROW(model_.run(pass), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, WeightWays, testing::Values("llama-dense", "llama-moe", "gemma2-dense"),
                         [](const auto& name) {
                             std::string text = name.param;
                             std::erase(text, '-');
                             return text;
                         });

}  // namespace
}  // namespace assay::engine
