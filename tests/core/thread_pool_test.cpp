#include "core/thread_pool.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

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

// Sanitizers end the process themselves when memory is refused to them.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/// Leaves the address space room for a few stacks, not for those of all threads; the exit code tells.
[[noreturn]] void make_too_many_threads() {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t used = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
    const rlimit limit{used + (64u << 20), used + (64u << 20)};
    ::setrlimit(RLIMIT_AS, &limit);
    try {
        const ThreadPool pool(1000);
    } catch (const Error& error) {
        std::fputs(error.what(), stderr);
        std::_Exit(0);
    }
    std::_Exit(1);
}

TEST(ThreadPoolDeathTest, SaysThatThereAreNoMoreThreads) {
    EXPECT_EXIT(make_too_many_threads(), testing::ExitedWithCode(0), "threads: [0-9]+ of 1000 could be made");
}

#endif

}  // namespace
}  // namespace assay
