#include "core/cpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <string>

#include "core/file.h"

namespace assay {
namespace {

using Features = std::set<std::string, std::less<>>;

constexpr Isa kLevels[] = {Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx};

Isa highest_with(const Features& there) {
    return highest_isa([&](std::string_view name) { return there.contains(name); });
}

/// The features that the build lets the files of a level use, those of the level that it names included.
Features compiled_for(Isa isa) {
    if (isa == Isa::Scalar) return {};
    const std::string cmake = read_file(std::string(ASSAY_SOURCE_DIR) + "/cmake/assay_target.cmake");
    std::smatch line;
    const std::regex level("set\\(flags_" + std::string(to_string(isa)) + " ([^)]*)\\)");
    if (!std::regex_search(cmake, line, level)) throw std::runtime_error("no flags for the level");
    Features features;
    const std::string flags = line[1];
    const std::regex word(R"(\$\{flags_(\w+)\}|-m([\w-]+)(=\w+)?)");
    for (auto it = std::sregex_iterator(flags.begin(), flags.end(), word); it != std::sregex_iterator();
         ++it) {
        if ((*it)[1].matched)
            features.merge(compiled_for(parse_isa((*it)[1].str()).value()));
        else if (!(*it)[3].matched)  // -mprefer-vector-width=512 asks for nothing
            features.insert((*it)[2]);
    }
    return features;
}

TEST(HighestIsa, AsksForAllThatTheFilesOfALevelAreCompiledFor) {
    for (std::size_t i = 1; i < std::size(kLevels); ++i) {
        const Features features = compiled_for(kLevels[i]);
        ASSERT_FALSE(features.empty()) << to_string(kLevels[i]);
        EXPECT_EQ(highest_with(features), kLevels[i]);
        for (const std::string& missing : features) {
            Features rest = features;
            rest.erase(missing);
            EXPECT_LT(highest_with(rest), kLevels[i]) << to_string(kLevels[i]) << " without " << missing;
        }
    }
}

TEST(HighestIsa, NeedsTheLevelsBefore) {
    Features features = compiled_for(Isa::Amx);
    features.erase("f16c");
    EXPECT_EQ(highest_with(features), Isa::Scalar);
}

TEST(IsaWithin, FollowsTheLibrarysLevels) {
    EXPECT_EQ(isa_within("SSE41"), Isa::Scalar);
    EXPECT_EQ(isa_within("AVX2"), Isa::Avx2);
    EXPECT_EQ(isa_within("avx2_vnni"), Isa::Avx2);
    EXPECT_EQ(isa_within("AVX512_CORE"), Isa::Avx512);
    EXPECT_EQ(isa_within("AVX512_CORE_BF16"), Isa::Avx512Bf16);
    for (const char* word : {"ALL", "AVX512_CORE_AMX", "", "avx-2"})
        EXPECT_EQ(isa_within(word), Isa::Amx) << word;
}

TEST(DetectIsa, StaysWithinTheLibrarysVariable) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that has not detected yet
    EXPECT_EXIT(
        {
            setenv("ONEDNN_MAX_CPU_ISA", "SSE41", 1);
            std::exit(detect_isa() == Isa::Scalar ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

TEST(Isa, HasAWordForEachLevel) {
    for (const Isa isa : kLevels) EXPECT_EQ(parse_isa(to_string(isa)), isa);
    EXPECT_EQ(parse_isa("sse2"), std::nullopt);
}

}  // namespace
}  // namespace assay
