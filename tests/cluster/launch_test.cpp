// Who has started this process, by what launchers say.
#include "cluster/launch.h"

#include <gtest/gtest.h>
#include <map>

namespace assay::cluster {
namespace {

int ranks(const std::map<std::string, std::string>& variables) {
    return launched_ranks([&](const char* name) {
        const auto found = variables.find(name);
        return found != variables.end() ? std::optional(found->second) : std::nullopt;
    });
}

TEST(Launch, RanksAsLaunchersSay) {
    EXPECT_EQ(ranks({}), 1);
    EXPECT_EQ(ranks({{"OMPI_COMM_WORLD_SIZE", "4"}}), 4);
    EXPECT_EQ(ranks({{"OMPI_COMM_WORLD_SIZE", "1"}}), 1);
    EXPECT_EQ(ranks({{"PMI_SIZE", "3"}}), 3);
    EXPECT_EQ(ranks({{"OMPI_COMM_WORLD_SIZE", "many"}}), 1);
}

TEST(Launch, OfSlurmOnlyAStepHasRanks) {
    EXPECT_EQ(ranks({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}}), 1) << "a batch script";
    EXPECT_EQ(ranks({{"SLURM_PROCID", "5"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "8"}}), 8);
}

}  // namespace
}  // namespace assay::cluster
