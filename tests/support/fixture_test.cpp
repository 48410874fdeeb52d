#include "support/fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "gguf/file.h"

namespace assay::test {
namespace {

/// The constructor compares with the fingerprint of the file that the reference program read, which an
/// independent filler wrote.
TEST(Fixture, FillsWhatTheReferenceProgramRead) {
    for (const std::string name : {"gemma-dense", "mamba2-dense", "qwen3moe-moe"}) {
        SCOPED_TRACE(name);
        const Fixture fixture(name);
        const auto file = gguf::File::open(fixture.model());
        EXPECT_GT(file.tensors().size(), 10u);
        EXPECT_EQ(fixture.running_perplexity().size(), static_cast<std::size_t>(fixture.run().n_chunks));
        EXPECT_TRUE(std::filesystem::exists(fixture.run().text));
        EXPECT_GT(fixture.matrix().size(), 4u);
    }
}

TEST(Fixture, RemovesItsFolder) {
    std::filesystem::path folder;
    {
        const Fixture fixture("gemma-dense");
        folder = fixture.folder().path();
        EXPECT_TRUE(std::filesystem::exists(fixture.model()));
    }
    EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Fixture, OtherSeedGivesOtherWeights) {
    const std::filesystem::path head =
        std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs/gemma-dense.head.gguf";
    const auto zero = fill_model(head, 4479744, 0);
    const auto one = fill_model(head, 4479744, 1);
    EXPECT_NE(zero, one);
}

TEST(Fixture, RefusesWhatIsNotThere) {
    EXPECT_THROW(Fixture("no-such-model"), Error);
    EXPECT_THROW(Fixture("_run"), Error);
}

TEST(Fixture, RefusesAFileThatIsTooShortForItsTensors) {
    const std::filesystem::path head =
        std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs/gemma-dense.head.gguf";
    EXPECT_THROW(fill_model(head, 4479744 - 64, 0), Error);
    EXPECT_THROW(fill_model(head, 100, 0), Error);
}

TEST(Fixture, EveryNameHasItsFiles) {
    const auto names = fixture_names();
    EXPECT_THAT(names, testing::Contains("qwen3moe-moe"));
    for (const std::string& name : names)
        for (const char* suffix : {".head.gguf", ".imatrix.gguf"})
            EXPECT_TRUE(
                std::filesystem::exists(std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs" / (name + suffix)))
                << name << suffix;
}

TEST(Fixture, FamiliesAreAmongTheNames) {
    for (const std::string& name : family_fixture_names())
        EXPECT_THAT(fixture_names(), testing::Contains(name));
}

TEST(TempDir, TwoAreApartAndBothGoAway) {
    std::filesystem::path first, second;
    {
        TempDir a;
        TempDir b;
        first = a.path();
        second = b.path();
        EXPECT_NE(first, second);
        write_file_atomically(a / "x", {});
        b = std::move(a);
        EXPECT_FALSE(std::filesystem::exists(second));
        EXPECT_TRUE(std::filesystem::exists(b / "x"));
    }
    EXPECT_FALSE(std::filesystem::exists(first));
}

}  // namespace
}  // namespace assay::test
