// A wave that is kept between two stages and gone on with by other passes tells what a whole one tells.
#include "engine/wave_keeper.h"

#include <gtest/gtest.h>

#include "backend/open.h"
#include "core/error.h"
#include "engine/small_model.h"
#include "engine/team.h"

namespace assay::engine {
namespace {

/// Keeps everything at each of some stages.
class Recording final : public WaveKeeper {
  public:
    struct Kept {
        std::vector<std::pair<std::int32_t, std::vector<std::byte>>> slots;
        RecordingSink sink;  ///< as it was then
    };
    Recording(const plan::PassPlan& plan, const RecordingSink& sink, std::size_t every)
        : plan_(plan), sink_(sink), every_(every) {}

    bool wants(std::size_t stage) override { return stage % every_ == 0; }
    void keep(std::size_t stage, std::span<const WavePart> parts) override {
        Kept& kept = stages[stage];
        for (const std::int32_t slot : plan_.live_slots(stage)) {
            kept.slots.emplace_back(slot, std::vector<std::byte>());
            std::vector<std::byte>& bytes = kept.slots.back().second;
            for (const WavePart& part : parts)
                part.rows(slot, [&](auto piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
        }
        kept.sink.inputs = sink_.inputs;
        kept.sink.similarities = sink_.similarities;
        kept.sink.losses = sink_.losses;
    }

    std::map<std::size_t, Kept> stages;

  private:
    const plan::PassPlan& plan_;
    const RecordingSink& sink_;
    const std::size_t every_;
};

class KeptWave : public testing::TestWithParam<std::string> {
  protected:
    KeptWave() {
        for (int i = 0; i < 3; ++i) {
            pools_.push_back(std::make_unique<ThreadPool>(1));
            backends_.push_back(
                backend::open({"cpu", backend::Precision::Auto, {}, kContext}, *pools_.back()));
        }
        model_.cut({33, 1, kContext});
        plan_.emplace(
            model_.file, model_.program, *backends_.front(),
            plan::PassOptions{.n_ctx = kContext, .unequal = true, .observed_output = {}, .similarity = true});
    }
    Team team(std::size_t n_members, bool streamed) const {
        std::vector<backend::Backend*> members;
        for (std::size_t i = 0; i < n_members; ++i) members.push_back(backends_[i].get());
        Placement placement;
        placement.stream = streamed;
        return {*plan_, members, placement};
    }
    /// Chunks [first, first + count) from where they were kept.
    void go_on(Team& team, const Recording::Kept& kept, std::size_t stage, std::int64_t first,
               std::int64_t count, RecordingSink& sink) const {
        const WaveStart start{stage, [&](std::int32_t slot, std::int64_t chunk, std::span<std::byte> to) {
                                  for (const auto& [kept_slot, bytes] : kept.slots)
                                      if (kept_slot == slot)
                                          std::copy_n(bytes.begin() + std::ssize(bytes) *
                                                                          model_.wave().first_token(chunk) /
                                                                          model_.wave().n_tokens(),
                                                      to.size(), to.begin());
                              }};
        Wave wave = model_.wave(first, count);
        wave.start = &start;
        team.run(wave, sink, [](std::int64_t) {});
    }

    SmallModel model_{GetParam()};
    std::optional<plan::PassPlan> plan_;
    std::vector<std::unique_ptr<ThreadPool>> pools_;
    std::vector<std::unique_ptr<backend::Backend>> backends_;
};
// Dense, experts, latent attention, and layers whose mixers have a state.
INSTANTIATE_TEST_SUITE_P(Models, KeptWave,
                         testing::Values("llama-dense", "qwen3moe-moe", "deepseek2-lite-mla-moe",
                                         "mamba2-dense"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(KeptWave, GoesOnAsIfNothingHadHappened) {
    Team alone = team(1, false);
    const RecordingSink expected = model_.run(alone);
    for (const std::size_t writers : {1u, 3u}) {
        Team first = team(writers, writers == 3);
        RecordingSink sink;
        // All boundaries of small models, several of others.
        Recording recording(*plan_, sink, 1 + plan_->stages().size() / (writers == 1 ? 8 : 4));
        Wave wave = model_.wave();
        wave.keeper = &recording;
        first.run(wave, sink, [](std::int64_t) {});
        EXPECT_TRUE(sink == expected) << "keeping changes nothing";
        EXPECT_GE(recording.stages.size(), writers == 1 ? 3u : 1u);
        for (auto& [stage, kept] : recording.stages) {
            Team other = team(writers == 1 ? 2 : 1, writers == 1);
            if (stage % 2 == 0) {
                go_on(other, kept, stage, 0, kChunks, kept.sink);
            } else {  // memory has become shorter
                go_on(other, kept, stage, 0, 2, kept.sink);
                go_on(other, kept, stage, 2, 1, kept.sink);
            }
            EXPECT_TRUE(kept.sink == expected) << "from stage " << stage << ", kept by " << writers;
        }
    }
}

TEST_P(KeptWave, EndsWhereTheKeeperSaysSo) {
    struct Refusing final : WaveKeeper {
        bool wants(std::size_t stage) override { return stage == 2; }
        void keep(std::size_t, std::span<const WavePart>) override {
            throw Error(ErrorKind::Io, "state", "enough");
        }
    } refusing;
    for (const std::size_t members : {1u, 3u}) {
        Team some = team(members, true);
        RecordingSink sink;
        try {
            Wave wave = model_.wave();
            wave.keeper = &refusing;
            some.run(wave, sink, [](std::int64_t) {});
            FAIL() << "it went on";
        } catch (const Error& error) {
            EXPECT_EQ(error.message(), "enough");
        }
    }
}

}  // namespace
}  // namespace assay::engine
