#include "calibrate/missing_experts.h"

#include <cmath>
#include <gtest/gtest.h>

#include "backend/cuda_backend.h"
#include "calibrate/run_fixture.h"
#include "core/error.h"

namespace assay::calibrate {
namespace {

imatrix::Matrix with_two_missing() {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.ffn_up_exps.weight"] = {
        2, {4, 5, 0, 0, 6, 7, 0, 0}, {1, 1, 0, 0, 1, 1, 0, 0}, {3, 0, 2, 0}};
    matrix.entries["blk.0.attn_q.weight"] = {2, {0, 0}, {0, 0}, {0}};
    return matrix;
}

TEST(MissingExperts, CountAsMeanOne) {
    imatrix::Matrix matrix = with_two_missing();
    fill_with_ones(matrix);
    const imatrix::Entry& entry = matrix.entries["blk.0.ffn_up_exps.weight"];
    EXPECT_EQ(entry.counts, (std::vector<double>{3, 1, 2, 1}));
    EXPECT_EQ(entry.sum_sq, (std::vector<double>{4, 5, 1, 1, 6, 7, 1, 1}));
    EXPECT_EQ(entry.sum, (std::vector<double>{1, 1, 0, 0, 1, 1, 0, 0}));
    EXPECT_EQ(matrix.entries["blk.0.attn_q.weight"].counts.front(), 0) << "has no experts";
    EXPECT_EQ(marked_experts(matrix, MissingExperts::One),
              (ExpertsOfTensors{{"blk.0.ffn_up_exps.weight", {1, 3}}}));
}

TEST(MissingExperts, OnesAreForgottenByWhoGoesOn) {
    imatrix::Matrix matrix = with_two_missing();
    fill_with_ones(matrix);
    forget_ones(matrix);
    EXPECT_EQ(matrix.entries, with_two_missing().entries);
    EXPECT_TRUE(matrix.extra.values().empty());
}

TEST(MissingExperts, MarksAreJoined) {
    imatrix::Matrix matrix = with_two_missing(), forced;
    forced.entries["blk.0.ffn_up_exps.weight"] = {
        2, {0, 0, 8, 8, 0, 0, 0, 0}, {0, 0, 2, 2, 0, 0, 0, 0}, {0, 4, 0, 0}};
    add_forced(matrix, forced);
    forced.entries["blk.0.ffn_up_exps.weight"] = {
        2, {0, 0, 0, 0, 0, 0, 9, 9}, {0, 0, 0, 0, 0, 0, 2, 2}, {0, 0, 0, 4}};
    add_forced(matrix, forced);
    const imatrix::Entry& entry = matrix.entries["blk.0.ffn_up_exps.weight"];
    EXPECT_EQ(entry.counts, (std::vector<double>{3, 4, 2, 4}));
    EXPECT_EQ(entry.sum_sq, (std::vector<double>{4, 5, 8, 8, 6, 7, 9, 9}));
    EXPECT_EQ(marked_experts(matrix, MissingExperts::All),
              (ExpertsOfTensors{{"blk.0.ffn_up_exps.weight", {1, 3}}}));
}

TEST(MissingExperts, MarksThatDoNotFitTogetherAreRefused) {
    imatrix::Matrix matrix = with_two_missing();
    fill_with_ones(matrix);
    for (const auto& counts : {gguf::Integers{3}, gguf::Integers{-1}, gguf::Integers{1, 1}}) {
        matrix.extra.set("assay.missing_experts_one.counts", gguf::i32s(counts));
        EXPECT_THROW(forget_ones(matrix), Error);
    }
}

/// A run over so few tokens that some experts see none.
class Starved : public testing::TestWithParam<const char*> {
  protected:
    Starved() : fixture_(GetParam()), options_(options_for(fixture_)) {
        options_.n_ctx = 4;
        options_.max_chunks = 2;
        options_.wave_chunks = 2;
    }
    imatrix::Matrix run_with(MissingExperts as) {
        options_.missing_experts = as;
        recorder_ = {};
        run(options_, recorder_);
        imatrix::Notes notes;
        return imatrix::load(options_.output, {}, notes);
    }
    static std::uint64_t n_missing(const imatrix::Matrix& matrix) {
        std::uint64_t n = 0;
        for (const auto& [name, entry] : matrix.entries) n += entry.counts.size() > 1 ? entry.n_missing() : 0;
        return n;
    }

    const test::Fixture fixture_;
    Options options_;
    Recorder recorder_;
};

TEST_P(Starved, ChangesNothingButTheMissing) {
    const imatrix::Matrix zero = run_with(MissingExperts::Zero);
    ASSERT_GT(n_missing(zero), 0u);
    const auto perplexities = recorder_.perplexities;
    for (const MissingExperts as : {MissingExperts::One, MissingExperts::All}) {
        const imatrix::Matrix filled = run_with(as);
        EXPECT_EQ(recorder_.perplexities, perplexities);
        EXPECT_EQ(n_missing(filled), 0u);
        std::uint64_t n_marked = 0;
        for (const auto& [name, experts] : marked_experts(filled, as)) n_marked += experts.size();
        EXPECT_EQ(n_marked, n_missing(zero));
        ASSERT_EQ(filled.entries.size(), zero.entries.size());
        for (const auto& [name, entry] : zero.entries) {
            const imatrix::Entry& other = filled.entries.at(name);
            const std::uint64_t width = entry.columns_per_count();
            for (std::size_t e = 0; e < entry.counts.size(); ++e) {
                if (entry.counts[e] == 0) {
                    EXPECT_EQ(other.counts[e], as == MissingExperts::One ? 1 : 8) << name << " " << e;
                    continue;
                }
                EXPECT_EQ(other.counts[e], entry.counts[e]);
                for (std::size_t c = e * width; c < (e + 1) * width; ++c)
                    ASSERT_EQ(other.sum_sq[c], entry.sum_sq[c]) << name << " " << c;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Starved, testing::Values("qwen3moe-moe", "gpt-oss-moe", "granite-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

class MissingExpertsOn : public testing::TestWithParam<std::string> {
    void SetUp() override {
        if (GetParam() == "cuda" && backend::cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
    }
};

/// What an expert sees when all tokens go through it, from a run whose router chooses all experts.
TEST_P(MissingExpertsOn, SeeWhatTheyWouldSeeIfChosen) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.device = GetParam();
    options.n_ctx = 4;
    options.max_chunks = 2;
    options.missing_experts = MissingExperts::All;
    Recorder recorder;
    imatrix::Notes notes;
    std::string first;
    for (const auto& [threads, wave] : {std::pair{1, 2}, {2, 0}, {3, 2}}) {
        options.n_threads = threads;
        options.wave_chunks = wave;
        run(options, recorder = {});
        const std::string bytes = read_file(options.output);
        if (first.empty()) first = bytes;
        EXPECT_TRUE(bytes == first) << threads << " threads";
    }
    const imatrix::Matrix filled = imatrix::load(options.output, {}, notes);
    options.missing_experts = MissingExperts::Zero;
    options.metadata.emplace_back("qwen3moe.expert_used_count", gguf::u64(8));
    run(options, recorder = {});
    const imatrix::Matrix all = imatrix::load(options.output, {}, notes);
    std::size_t n_compared = 0;
    // The input of the first layer's experts does not depend on which of them are chosen.
    for (const auto& [name, experts] : marked_experts(filled, MissingExperts::All))
        for (const std::int64_t e : experts) {
            if (!name.starts_with("blk.0.")) continue;
            const imatrix::Entry &mine = filled.entries.at(name), &theirs = all.entries.at(name);
            const auto width = mine.columns_per_count(), from = static_cast<std::uint64_t>(e) * width;
            for (std::uint64_t c = from; c < from + width; ++c)
                ASSERT_FLOAT_EQ(static_cast<float>(mine.sum_sq[c]), static_cast<float>(theirs.sum_sq[c]));
            ++n_compared;
        }
    EXPECT_GT(n_compared, 2u);
}

INSTANTIATE_TEST_SUITE_P(Devices, MissingExpertsOn, testing::Values("cpu", "cuda"),
                         [](const auto& name) { return name.param; });

TEST(MissingExpertsRun, GoesOnFromOnesAsIfTheyWereZero) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.n_ctx = 4;
    options.max_chunks = 2;
    Recorder recorder;
    std::string continued[2];
    for (int i = 0; i < 2; ++i) {
        options.in_files.clear();
        options.skip_chunks = 0;
        options.missing_experts = i == 0 ? MissingExperts::Zero : MissingExperts::One;
        run(options, recorder = {});
        options.in_files = {options.output};
        options.skip_chunks = 2;
        options.missing_experts = MissingExperts::Zero;
        run(options, recorder = {});
        continued[i] = read_file(options.output);
    }
    EXPECT_TRUE(continued[0] == continued[1]);
}

TEST(Coverage, IsToldAfterTheFirstWaveAndAtTheEnd) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.max_chunks = 4;
    options.wave_chunks = 1;
    Recorder recorder;
    run(options, recorder);
    ASSERT_EQ(recorder.coverages.size(), 2u);
    EXPECT_EQ(recorder.coverages[0].first, 1);
    EXPECT_EQ(recorder.coverages[1].first, 4);
    EXPECT_EQ(recorder.coverages[1].second.n_expert_matrices(), 2u * 3 * 8);
    options.wave_chunks = 4;
    run(options, recorder = {});
    EXPECT_EQ(recorder.coverages.size(), 1u);
}

}  // namespace
}  // namespace assay::calibrate
