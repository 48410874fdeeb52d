// Chunks have their turn one after another; what does not belong together does not wait.
#include "engine/turns.h"

#include <gtest/gtest.h>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"

namespace assay::engine {
namespace {

const Turn::Key kA{"a", 0, 0};

class TurnsTest : public testing::Test {
  protected:
    void take(const Turn& turn) {
        turns_.wait(turn);
        {
            const std::lock_guard lock(mutex_);
            order_.push_back(turn.chunks.first);
        }
        turns_.done(turn);
    }

    Turns turns_{4};
    std::mutex mutex_;
    std::vector<std::int64_t> order_;
};

TEST_F(TurnsTest, LaterPartsWaitForEarlierOnes) {
    std::thread last([&] { take({kA, {9, 1}}); });
    std::thread middle([&] {
        take({kA, {7, 1}});
        take({kA, {8, 1}});
    });
    take({kA, {4, 2}});
    {
        const std::lock_guard lock(mutex_);
        EXPECT_EQ(order_, (std::vector<std::int64_t>{4}));  // the others cannot come before 6
    }
    take({kA, {6, 1}});
    middle.join();
    last.join();
    EXPECT_EQ(order_, (std::vector<std::int64_t>{4, 6, 7, 8, 9}));
}

TEST_F(TurnsTest, OtherKeysPassWhileATurnIsTaken) {
    turns_.wait({kA, {4, 1}});  // and not done yet
    for (const Turn::Key& other : {Turn::Key{"b", 0, 0}, Turn::Key{"a", 8, 0}, Turn::Key{"a", 0, 1}}) {
        take({other, {4, 1}});
        take({other, {5, 1}});
    }
    turns_.done({kA, {4, 1}});
    take({kA, {5, 1}});
    EXPECT_EQ(order_, (std::vector<std::int64_t>{4, 5, 4, 5, 4, 5, 5}));
}

TEST_F(TurnsTest, AFailureWakesThoseWhoWait) {
    std::thread later([&] { EXPECT_THROW(turns_.wait({kA, {5, 1}}), Error); });
    turns_.cancel();
    later.join();
    EXPECT_THROW(turns_.wait({kA, {4, 1}}), Error);
}

}  // namespace
}  // namespace assay::engine
