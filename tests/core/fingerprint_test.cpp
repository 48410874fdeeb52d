#include "core/fingerprint.h"

#include <gtest/gtest.h>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "support/temp_dir.h"

namespace assay {
namespace {

std::vector<std::byte> some_bytes(std::size_t n) {
    std::vector<std::byte> bytes(n);
    for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 251);
    return bytes;
}

TEST(Fingerprint, DoesNotSeeWhereCallsEnd) {
    const std::vector<std::byte> bytes = some_bytes(300);
    for (const std::size_t step : {1u, 7u, 31u, 32u, 33u, 64u, 299u}) {
        Fingerprint parts;
        for (std::size_t at = 0; at < bytes.size(); at += step)
            parts.add(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
        EXPECT_EQ(parts.value(), fingerprint_of(bytes)) << step;
    }
}

TEST(Fingerprint, OfAFileIsThatOfItsBytes) {
    const test::TempDir folder;
    for (const std::size_t n :
         {std::size_t{0}, std::size_t{1}, std::size_t{4} << 20, (std::size_t{9} << 20) + 5}) {
        const std::vector<std::byte> bytes = some_bytes(n);
        write_file_atomically(folder / "file", bytes);
        EXPECT_EQ(fingerprint_of_file(folder / "file"), fingerprint_of(bytes)) << n;
    }
    EXPECT_THROW(fingerprint_of_file(folder / "none"), Error);
}

TEST(Fingerprint, SeesEveryBitAndTheLength) {
    std::vector<std::byte> bytes = some_bytes(100);
    std::set<std::uint64_t> seen{fingerprint_of(bytes)};
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
        EXPECT_TRUE(seen.insert(fingerprint_of(bytes)).second) << "bit " << bit;
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
    }
    std::vector<std::byte> zeros;
    for (int n = 0; n < 100; ++n) {
        EXPECT_TRUE(seen.insert(fingerprint_of(zeros)).second) << n << " zeros";
        zeros.push_back(std::byte{0});
    }
}

TEST(Fingerprint, StaysWhatItIs) {                                        // states on disk hold it
    EXPECT_EQ(fingerprint_text(fingerprint_of({})), "2d06800538d394c2");  // XXH3_64bits of nothing
}

}  // namespace
}  // namespace assay
