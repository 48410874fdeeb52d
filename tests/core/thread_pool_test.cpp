#include "core/thread_pool.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include "core/error.h"

namespace assay {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
    ThreadPool pool(3);
    std::vector<std::atomic<int>> runs(100);
    for (int turn = 0; turn < 2; ++turn)
        pool.run(100, [&](std::int64_t task, int thread) {
            EXPECT_LT(thread, pool.size());
            ++runs[static_cast<std::size_t>(task)];
        });
    for (const auto& n : runs) EXPECT_EQ(n, 2);
}

TEST(ThreadPool, RethrowsWhatATaskThrewAndSkipsTheRest) {
    for (const int n_threads : {1, 3}) {
        ThreadPool pool(n_threads);
        std::atomic<int> n_begun = 0;
        const auto fail = [&](std::int64_t task, int) {
            ++n_begun;
            if (task == 5) throw Error(ErrorKind::Numeric, "task", "failed");
        };
        EXPECT_THROW(pool.run(1 << 20, fail), Error);
        EXPECT_LT(n_begun, 1 << 20);
        n_begun = 0;
        pool.run(5, fail);  // goes on as if nothing had been
        EXPECT_EQ(n_begun, 5);
    }
}

TEST(ThreadPool, RefusesNoThreads) { EXPECT_THROW(ThreadPool(0), Error); }

TEST(ThreadPool, SaysThatTheSystemGivesNoMoreThreads) {
    pthread_attr_t usual, impossible;
    ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
    ASSERT_EQ(::pthread_getattr_default_np(&impossible), 0);
    ASSERT_EQ(::pthread_attr_setstacksize(&impossible, std::size_t{1} << 47),
              0);  // all that can be addressed
    ASSERT_EQ(::pthread_setattr_default_np(&impossible), 0);
    std::string told;
    try {
        const ThreadPool pool(4);
    } catch (const Error& error) {
        told = error.what();
    }
    ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
    EXPECT_THAT(told, testing::StartsWith("threads: the system gives no more of them: "));
    EXPECT_EQ(ThreadPool(4).size(), 4);
}

}  // namespace
}  // namespace assay
