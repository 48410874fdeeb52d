// Several devices work at the same time, and what they find does not depend on their number.
#include <algorithm>
#include <gtest/gtest.h>

#include "engine/slow_device.h"
#include "engine/small_model.h"
#include "engine/team.h"

namespace assay::engine {
namespace {

struct SlowTeam {
    SlowTeam(std::size_t n, std::int64_t group_chunks, bool slow) : pace(n, slow) {
        for (std::size_t i = 0; i < n; ++i) {
            pools.push_back(std::make_unique<ThreadPool>(1));
            devices.push_back(std::make_unique<SlowDevice>(pace, i, *pools.back(), kContext, group_chunks));
            borrowed.push_back(devices.back().get());
        }
    }

    Pace pace;
    std::vector<std::unique_ptr<ThreadPool>> pools;
    std::vector<std::unique_ptr<SlowDevice>> devices;
    std::vector<backend::Backend*> borrowed;
};

class TeamWork : public testing::TestWithParam<std::string> {
  protected:
    TeamWork() {
        options_.n_ctx = kContext;
        const std::vector<std::int32_t> some = model_.tokens;
        for (std::int64_t i = 1; i < kManyChunks / kChunks; ++i)
            model_.tokens.insert(model_.tokens.end(), some.begin(), some.end());
        for (std::int64_t chunk = kChunks + 1; chunk <= kManyChunks; ++chunk)
            model_.starts.push_back(chunk * kContext);
    }

    static constexpr std::int64_t kManyChunks = 16 * kChunks;
    static constexpr std::int64_t kSomeChunks = 5;
    SmallModel model_{GetParam()};
    plan::PassOptions options_;
};
INSTANTIATE_TEST_SUITE_P(Models, TeamWork, testing::Values("llama-dense", "llama-moe"),
                         [](const auto& name) { return name.param.substr(6); });

TEST_P(TeamWork, AllDevicesAreAtWorkAtOnce) {
    options_.losses = false;
    for (const std::int64_t n : {2, 3}) {
        ASSERT_EQ(kManyChunks % n, 0);
        SlowTeam slow(static_cast<std::size_t>(n), 1, true);
        const plan::PassPlan plan(model_.file, model_.program, *slow.borrowed.front(), options_);
        Team team(plan, slow.borrowed, {});
        RecordingSink sink;
        team.run(model_.wave(0, kManyChunks), sink, [](std::int64_t) {});
        EXPECT_TRUE(slow.pace.together()) << n << " devices";
    }
}

TEST_P(TeamWork, NothingDependsOnDevicesGroupsAndWaves) {
    options_.similarity = true;
    const auto found = [&](std::size_t n_devices, std::int64_t group_chunks, std::int64_t wave_chunks) {
        SlowTeam quick(n_devices, group_chunks, false);
        const plan::PassPlan plan(model_.file, model_.program, *quick.borrowed.front(), options_);
        Team team(plan, quick.borrowed, {});
        RecordingSink sink;
        for (std::int64_t first = 0; first < kSomeChunks; first += wave_chunks) {
            const std::int64_t count = std::min(wave_chunks, kSomeChunks - first);
            team.run(model_.wave(first, count), sink, [](std::int64_t) {});
        }
        return sink;
    };
    const RecordingSink expected = found(1, 1, kSomeChunks);
    ASSERT_EQ(expected.losses.size(), static_cast<std::size_t>(kSomeChunks));
    for (const std::size_t n_devices : {1, 2, 3})
        for (const std::int64_t group_chunks : {1, 3})
            for (const std::int64_t wave_chunks : {std::int64_t{4}, kSomeChunks})
                EXPECT_TRUE(found(n_devices, group_chunks, wave_chunks) == expected)
                    << n_devices << " devices, groups of " << group_chunks << ", waves of " << wave_chunks;
}

}  // namespace
}  // namespace assay::engine
