#include "core/background.h"

#include <future>
#include <gtest/gtest.h>
#include <stdexcept>

namespace assay {
namespace {

TEST(Background, GoesOnBesideTheCaller) {
    std::promise<void> go;
    bool ended = false;
    Background work;
    EXPECT_FALSE(work.under_way());
    work.start([&] {
        go.get_future().wait();
        ended = true;
    });
    EXPECT_TRUE(work.under_way());
    EXPECT_FALSE(work.done());
    go.set_value();
    work.wait();
    EXPECT_TRUE(ended);
    EXPECT_FALSE(work.under_way());
}

TEST(Background, TellsOnceWhatItThrew) {
    Background work;
    for (int round = 0; round < 2; ++round) {
        work.start([] { throw std::runtime_error("full"); });
        EXPECT_THROW(work.wait(), std::runtime_error);
    }
    bool ended = false;
    work.start([&] { ended = true; });
    work.wait();
    EXPECT_TRUE(ended);
}

TEST(Background, EndsBeforeItGoes) {
    bool ended = false;
    {
        Background work;
        work.start([&] { ended = true; });
    }
    EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace assay
