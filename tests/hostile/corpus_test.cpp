// The corpora of the fuzz targets as tests: what was found once stays mended, with any compiler.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "fuzz/examine.h"

namespace assay::test {
namespace {

namespace fs = std::filesystem;

struct Target {
    const char* name;
    void (*examine)(fuzz::Bytes);
};

constexpr Target kTargets[] = {{"blocks", fuzz::examine_blocks},
                               {"checkpoint", fuzz::examine_checkpoint},
                               {"command_line", fuzz::examine_command_line},
                               {"documents", fuzz::examine_documents},
                               {"matrix", [](fuzz::Bytes bytes) { (void)fuzz::examine_matrix(bytes); }},
                               {"model", fuzz::examine_model},
                               {"sensitivity", fuzz::examine_sensitivity},
                               {"text", fuzz::examine_text},
                               {"vocabulary", fuzz::examine_vocabulary}};

class Corpus : public testing::TestWithParam<Target> {};

TEST_P(Corpus, BreaksNoPromise) {
    const fs::path folder = fs::path(ASSAY_SOURCE_DIR) / "fuzz" / "corpus" / GetParam().name;
    int n_files = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
        SCOPED_TRACE(entry.path().string());
        const std::string bytes = read_file(entry.path());
        EXPECT_NO_THROW(GetParam().examine(std::as_bytes(std::span(bytes))));
        ++n_files;
    }
    EXPECT_GT(n_files, 1);
}

INSTANTIATE_TEST_SUITE_P(Targets, Corpus, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

TEST(Corpus, EveryTargetHasOne) {
    const std::string rules = read_file(fs::path(ASSAY_SOURCE_DIR) / "fuzz" / "CMakeLists.txt");
    const std::string script = read_file(fs::path(ASSAY_SOURCE_DIR) / "scripts" / "fuzz");
    std::string names;
    for (const Target& target : kTargets) {
        names += std::string(names.empty() ? "" : " ") + target.name;
        EXPECT_NE(rules.find(fmt::format("assay_examine({} ", target.name)), std::string::npos)
            << target.name;
    }
    EXPECT_NE(script.find("all=(" + names + ")"), std::string::npos);
}

}  // namespace
}  // namespace assay::test
