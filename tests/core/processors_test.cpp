#include "core/processors.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "core/thread_pool.h"
#include "support/temp_dir.h"

namespace assay {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ParseCpuList, ReadsRangesAndNumbers) {
    EXPECT_THAT(parse_cpu_list("0-3,8,10-11"), ElementsAre(0, 1, 2, 3, 8, 10, 11));
    EXPECT_THAT(parse_cpu_list("5\n"), ElementsAre(5));
    EXPECT_THAT(parse_cpu_list(""), IsEmpty());
    EXPECT_THAT(parse_cpu_list("1,x"), ElementsAre(1));
    EXPECT_THAT(parse_cpu_list("2-,3"), IsEmpty());
    EXPECT_THAT(parse_cpu_list("0,99999999999"), ElementsAre(0));
}

/// Two nodes of two cores with two threads each: cores {0,4} {1,5} on node 0, {2,6} {3,7} on node 1.
class TwoNodes : public testing::Test {
  protected:
    TwoNodes() {
        for (int cpu = 0; cpu < 8; ++cpu)
            put("cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4));
        put("node/online", "0-1");
        put("node/node0/cpulist", "0-1,4-5");
        put("node/node1/cpulist", "2-3,6-7");
    }
    std::vector<Processor> describe(const std::vector<int>& cpus) const {
        return describe_processors(cpus, folder_.path());
    }

  private:
    void put(const std::string& name, const std::string& line) const {
        std::filesystem::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << line << "\n";
    }
    test::TempDir folder_;
};

TEST_F(TwoNodes, AreDescribedAsTheKernelDoes) {
    EXPECT_THAT(describe({0, 2, 3, 4, 7}),
                ElementsAre(Processor{0, 0, 0}, Processor{2, 1, 0}, Processor{3, 1, 0}, Processor{4, 0, 1},
                            Processor{7, 1, 1}));
    EXPECT_THAT(describe({4, 5}), ElementsAre(Processor{4, 0, 0}, Processor{5, 0, 0}))
        << "the only ones of their cores here";
}

TEST_F(TwoNodes, AreFilledCoreByCoreAndNodeByNode) {
    const auto all = describe({0, 1, 2, 3, 4, 5, 6, 7});
    EXPECT_THAT(choose_places(all, 3), ElementsAre(0, 1, 2));
    EXPECT_THAT(choose_places(all, 6), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(choose_places(all, 8), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_THAT(choose_places(all, 9), IsEmpty()) << "more threads than processors";
}

TEST_F(TwoNodes, OneOfThemIsLeftToTheSystemUntilItIsFull) {
    const auto one = describe({2, 3, 6, 7});
    EXPECT_THAT(choose_places(one, 1), IsEmpty());
    EXPECT_THAT(choose_places(one, 2), ElementsAre(2, 3));
    EXPECT_THAT(choose_places(one, 3), ElementsAre(2, 3, 6));
}

TEST(DescribeProcessors, WithoutAWordFromTheKernelTheyAreAllAlike) {
    const test::TempDir empty;
    EXPECT_THAT(describe_processors({3, 5}, empty.path()),
                ElementsAre(Processor{3, 0, 0}, Processor{5, 0, 0}));
}

TEST(AvailableProcessors, AreNoMoreThanAreAllowed) {
    EXPECT_GE(available_processors(), 1);
    EXPECT_LE(available_processors(), static_cast<int>(allowed_processors().size()));
}

TEST(ThreadPool, ThreadsButTheCallerKeepTheirPlaces) {
    const int place = allowed_processors().back().cpu;
    cpu_set_t before, after;
    sched_getaffinity(0, sizeof before, &before);
    ThreadPool pool(3, {allowed_processors().front().cpu, place, place});
    pool.run(64, [&](std::int64_t, int thread) {
        if (thread == 0) return;
        EXPECT_EQ(sched_getcpu(), place);
    });
    sched_getaffinity(0, sizeof after, &after);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

}  // namespace
}  // namespace assay
