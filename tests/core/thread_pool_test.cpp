#include "core/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include "core/error.h"

namespace assay {
namespace {

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
