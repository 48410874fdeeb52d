// Chunks come to all ranks as rank 0 has them, and bytes that are none are refused.
#include "calibrate/share_chunks.h"

#include <cstring>
#include <gtest/gtest.h>

#include "calibrate/unequal_chunks.h"
#include "cluster/hub.h"
#include "core/error.h"

namespace assay::calibrate {
namespace {

void expect_same(const Chunks& found, const Chunks& expected) {
    EXPECT_EQ(found.n_ctx, expected.n_ctx);
    EXPECT_EQ(found.n_tokens, expected.n_tokens);
    EXPECT_EQ(found.scored, expected.scored);
    EXPECT_EQ(found.starts, expected.starts);
    EXPECT_EQ(found.inputs, expected.inputs);
    EXPECT_EQ(found.targets, expected.targets);
    EXPECT_EQ(found.weights, expected.weights);
    EXPECT_EQ(found.roles, expected.roles);
}

TEST(ShareChunks, AllRanksHaveThem) {
    for (const int ranks : {1, 2, 3, 4, 7})
        for (const bool weighted : {false, true}) {
            const Chunks chunks = unequal_chunks(50, weighted);
            cluster::Hub hub(ranks);
            hub.run([&](cluster::Communicator& communicator) {
                expect_same(share_chunks(communicator.rank() == 0 ? chunks : Chunks(), communicator), chunks);
            });
        }
}

TEST(ShareChunks, TruncatedOrLongerTheyAreRefused) {
    const std::vector<std::byte> bytes = pack(unequal_chunks(50, true));
    for (std::size_t n = 0; n < bytes.size(); ++n)
        EXPECT_THROW(unpack_chunks(std::span(bytes).first(n)), Error) << n;
    std::vector<std::byte> longer = bytes;
    longer.push_back({});
    EXPECT_THROW(unpack_chunks(longer), Error);
}

TEST(ShareChunks, LyingNumbersAreRefused) {
    const Chunks chunks = unequal_chunks(50, true);
    const std::vector<std::byte> bytes = pack(chunks);
    const std::size_t n = chunks.inputs.size();
    // n_ctx, n_tokens and the rule come first; then, each behind its length:
    const std::size_t starts = 17, inputs = starts + 8 + 8 * chunks.starts.size(),
                      targets = inputs + 8 + 4 * n;
    const std::size_t weights = targets + 8 + 4 * n, roles = weights + 8 + 4 * n;
    ASSERT_EQ(bytes.size(), roles + 8 + n);
    const auto with = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        std::vector<std::byte> changed = bytes;
        std::memcpy(changed.data() + at, &value, size);
        return changed;
    };
    for (const std::size_t length : {starts, inputs, targets, weights, roles}) {
        std::uint64_t said = 0;
        std::memcpy(&said, bytes.data() + length, sizeof said);
        for (const std::uint64_t lie :
             {std::uint64_t{0}, said - 1, said + 1, std::uint64_t{1} << 61, ~std::uint64_t{0}})
            EXPECT_THROW(unpack_chunks(with(length, lie, 8)), Error) << length << ", " << lie;
    }
    for (std::size_t chunk = 0; chunk < chunks.starts.size(); ++chunk)
        for (const std::uint64_t lie :
             {~std::uint64_t{0}, std::uint64_t{1} << 63, (std::uint64_t{1} << 63) - 1})
            EXPECT_THROW(unpack_chunks(with(starts + 8 + 8 * chunk, lie, 8)), Error) << chunk << ", " << lie;
    EXPECT_THROW(unpack_chunks(with(0, 129, 8)), Error) << "chunks longer than the context";
    EXPECT_THROW(unpack_chunks(with(16, 2, 1)), Error) << "no such rule";
    EXPECT_THROW(unpack_chunks(with(roles + 8, documents::kRoles.size(), 1)), Error) << "no such role";
    EXPECT_THROW(unpack_chunks(with(weights + 8, 0x7FC00000, 4)), Error) << "no number";
    expect_same(unpack_chunks(with(0, 130, 8)), chunks);
}

}  // namespace
}  // namespace assay::calibrate
