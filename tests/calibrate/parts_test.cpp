// Matrices of parts of a text: what they say of their chunks is believed only where it fits together.
#include "calibrate/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/extra.h"
#include "core/error.h"
#include "core/file.h"
#include "imatrix/file.h"
#include "support/temp_dir.h"

namespace assay::calibrate {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMost = std::int64_t{1} << 62;

Part part(std::int64_t n_chunks, const std::vector<cluster::Range>& ranges) {
    Part result;
    result.run = "run";
    result.n_chunks = n_chunks;
    for (const cluster::Range& range : ranges) result.chunks.add(range);
    return result;
}

/// Of so many chunks, with losses of `n_losses` of them that are 1, 2, ... times `factor`.
imatrix::Matrix matrix_of(const Part& of, int n_losses, double factor) {
    imatrix::Matrix matrix;
    matrix.chunk_size = 8;
    matrix.chunk_count = 1;
    matrix.entries["w"] = {2, {factor, 2}, {1, factor}, {8}};
    Collected collected;
    for (int i = 1; i <= n_losses; ++i) collected.chunk_losses.push_back({factor * i, 1, 4});
    store_losses(collected, matrix.extra);
    store_part(of, matrix.extra);
    return matrix;
}

template <typename Body> std::string message_of(Body body) {
    try {
        body();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

class Parts : public testing::Test {
  protected:
    fs::path save(const std::string& name, const imatrix::Matrix& matrix) {
        imatrix::Notes notes;
        const fs::path path = folder_ / name;
        write_file_atomically(path, imatrix::serialise(matrix, imatrix::Format::GgufExact, notes));
        return path;
    }
    Merged merge(const std::vector<fs::path>& paths, bool force = false) {
        notes_.clear();
        const auto load = [](const fs::path& path) {
            imatrix::Notes notes;
            return imatrix::load(path, {}, notes);
        };
        return merge_matrices(paths, load, force, notes_);
    }

    test::TempDir folder_;
    imatrix::Notes notes_;
};

TEST_F(Parts, GiveTheLossesOfTheWholeInOrder) {
    const Part odd = part(5, {{0, 1}, {2, 1}}), even = part(5, {{1, 1}, {4, 1}});
    const Merged merged = merge({save("odd", matrix_of(odd, 2, 1)), save("even", matrix_of(even, 2, 10))});
    ASSERT_EQ(merged.collected.chunk_losses.size(), 4u);
    for (const auto& [chunk, nll] : {std::pair<std::size_t, double>{0, 1}, {1, 10}, {2, 2}, {3, 20}})
        EXPECT_EQ(merged.collected.chunk_losses[chunk].nll, nll);
    EXPECT_EQ(merged.matrix.entries.at("w").sum_sq, (std::vector<double>{11, 4}));
    ASSERT_TRUE(merged.part);
    EXPECT_EQ(merged.part->chunks.count(), 4);
    EXPECT_THAT(notes_, testing::ElementsAre(testing::HasSubstr("are in none of the files")));
}

TEST_F(Parts, HaveNoLossesOfTheChunksTheyLeftOut) {
    imatrix::Matrix first = matrix_of(part(5, {{0, 3}}), 2, 1);
    store_skipped({2}, first.extra);  // from 1
    const Merged merged = merge({save("last", matrix_of(part(5, {{3, 2}}), 2, 10)), save("first", first)});
    std::vector<double> losses;
    for (const perplexity::Sums& sums : merged.collected.chunk_losses) losses.push_back(sums.nll);
    EXPECT_EQ(losses, (std::vector<double>{1, 2, 10, 20}));
    EXPECT_EQ(merged.collected.skipped, (std::vector<std::int64_t>{2}));
}

TEST_F(Parts, ThatOverlapAreAddedOnlyByForce) {
    const fs::path one = save("one", matrix_of(part(5, {{0, 2}}), 2, 1));
    const fs::path two = save("two", matrix_of(part(5, {{1, 4}}), 4, 1));
    EXPECT_THAT(message_of([&] { merge({one, two}); }), testing::HasSubstr("--force"));
    const Merged merged = merge({one, two}, true);
    EXPECT_EQ(merged.matrix.entries.at("w").counts, (std::vector<double>{16}));
    EXPECT_THAT(notes_, testing::ElementsAre(testing::HasSubstr("count several times")));
}

// Neither time nor memory is spent on chunks that a file only says it has.
TEST_F(Parts, OfMoreChunksThanTheyHaveNumbersOf) {
    const Part vast = part(kMost, {{0, kMost}});
    EXPECT_THAT(message_of([&] { merge({save("lies", matrix_of(vast, 2, 1))}); }),
                testing::EndsWith(fmt::format("has the losses of 2 chunks, expected {}", kMost)));
    EXPECT_EQ(merge({save("none", matrix_of(vast, 0, 1))}).part->chunks.count(), kMost);
}

TEST(Part, RangesMustRiseAndLieInTheText) {
    const auto refusal = [](std::int64_t n_chunks, const gguf::Integers& first, const gguf::Integers& count) {
        gguf::Metadata extra("m.gguf");
        store_part(part(n_chunks, {}), extra);
        const auto set = [&](const char* name, const gguf::Integers& values) {
            extra.set(std::string("assay.part.") + name,
                      {gguf::ValueType::Array, gguf::ValueType::I64, gguf::Integers(values)});
        };
        set("first", first);
        set("count", count);
        return message_of([&] { find_part(extra); });
    };
    EXPECT_EQ(refusal(5, {0, 3}, {2, 2}), "");
    EXPECT_EQ(refusal(5, {0, 2}, {2, 3}), "");
    const std::string why = "m.gguf: keys assay.part.*: expected rising ranges of 5 chunks";
    EXPECT_EQ(refusal(5, {0}, {6}), why);
    EXPECT_EQ(refusal(5, {-1}, {1}), why);
    EXPECT_EQ(refusal(5, {1}, {0}), why);
    EXPECT_EQ(refusal(5, {6}, {1}), why);
    EXPECT_EQ(refusal(5, {1}, {INT64_MAX}), why);
    EXPECT_EQ(refusal(5, {3, 0}, {1, 1}), why);
    EXPECT_EQ(refusal(5, {0, 1}, {2, 1}), why);
    EXPECT_EQ(refusal(5, {0, 1}, {1}), why);
    EXPECT_NE(refusal(-1, {}, {}), "");
    EXPECT_FALSE(find_part(gguf::Metadata("m.gguf")));
}

TEST(NextChunk, LiesBehindThoseLeftOut) {
    EXPECT_EQ(next_chunk(0, 3, {}), 3);
    EXPECT_EQ(next_chunk(2, 3, {}), 5);
    EXPECT_EQ(next_chunk(0, 3, {1, 3}), 5);
    EXPECT_EQ(next_chunk(0, 3, {4}), 4);
    EXPECT_EQ(next_chunk(0, 3, {5}), 3);
}

}  // namespace
}  // namespace assay::calibrate
