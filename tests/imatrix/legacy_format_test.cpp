#include <cmath>
#include <cstring>

#include "core/bytes.h"
#include "sample.h"

namespace assay::imatrix {
namespace {

/// One entry "w" of two values, with every field as given.
struct Raw {
    std::int32_t n_entries = 1, name_length = 1, n_calls = 2, n_values = 2, dataset_length = 3;
    float first = 1.5f;
    std::vector<std::byte> bytes() const {
        ByteWriter out;
        out.write(n_entries);
        out.write(name_length);
        out.write_text("w");
        out.write(n_calls);
        out.write(n_values);
        out.write(first);
        out.write(4.0f);
        out.write(std::int32_t{9});
        out.write(dataset_length);
        out.write_text("abc");
        return out.bytes();
    }
};

Matrix parse_raw(const Raw& raw, std::optional<std::uint32_t> chunk_size = 8) {
    Notes notes;
    return parse(raw.bytes(), "raw.dat", {chunk_size}, notes);
}

TEST(Legacy, WritesTheGoldenBytes) {
    Matrix matrix = sample();
    matrix.entries["blk.9.ffn_up_exps.weight"] = {1, {0, 0}, {}, {0, 0}};
    Notes notes;
    EXPECT_EQ(serialise(matrix, Format::Legacy, notes), golden_bytes("sample.dat"));
    EXPECT_EQ(notes, (Notes{"entry '                blk.0.ffn_up_exps.weight' has partial data (66.67%)",
                            "entry '                blk.9.ffn_up_exps.weight' has no data - skipping",
                            "storing only 3 out of 4 entries"}));
}

// Bytes of another writer for the same sums: what two independent tools agree on.
TEST(Legacy, WritesWhatLlamaImatrixWrote) {
    Notes notes;
    const Matrix matrix = parse(golden_bytes("peer.gguf"), "peer.gguf", {}, notes);
    EXPECT_EQ(serialise(matrix, Format::Legacy, notes), golden_bytes("peer.dat"));
    EXPECT_TRUE(notes.empty());
}

TEST(Legacy, BecomesSumsOnLoading) {
    const Matrix matrix = parse_raw({});
    const Entry& entry = matrix.entries.at("w");
    EXPECT_EQ(entry.sum_sq, (std::vector<double>{12, 32}));  // times 8 tokens per chunk
    EXPECT_EQ(entry.counts, std::vector<double>{16});
    EXPECT_TRUE(entry.sum.empty());
    EXPECT_EQ(matrix.chunk_count, 2u);
    EXPECT_EQ(matrix.datasets, std::vector<std::string>{"abc"});
}

TEST(Legacy, AssumesAChunkSizeAloud) {
    Notes notes;
    const Matrix matrix = parse(Raw{}.bytes(), "raw.dat", {}, notes);
    EXPECT_EQ(matrix.chunk_size, 512u);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("chunks of 512 tokens are assumed"), std::string::npos);
}

TEST(Legacy, TakesTheChunkSizeOfEarlierFiles) {
    Notes notes;
    const Matrix matrix = parse(Raw{}.bytes(), "raw.dat", {16, 8}, notes);
    EXPECT_EQ(matrix.chunk_size, 8u);
    EXPECT_EQ(matrix.stored_chunk_size(), std::nullopt);
    EXPECT_TRUE(notes.empty());
}

TEST(Legacy, TakesValuesWithoutCallsAsOneChunk) {
    Raw raw;
    raw.n_calls = 0;
    Notes notes;
    const Matrix matrix = parse(raw.bytes(), "raw.dat", {8}, notes);
    EXPECT_EQ(matrix.entries.at("w").counts, std::vector<double>{8});
    EXPECT_EQ(notes.size(), 1u);
}

TEST(Legacy, RefusesLyingLengths) {
    const std::vector<std::int32_t> lies = {0, -1, 3, INT32_MAX, INT32_MIN};
    for (const std::int32_t lie : lies) {
        Raw raw;
        raw.n_entries = lie;
        EXPECT_NE(message_of([&] { parse_raw(raw); }), "") << "entries " << lie;
        raw = {};
        raw.n_values = lie;
        EXPECT_NE(message_of([&] { parse_raw(raw); }), "") << "values " << lie;
        raw = {};
        raw.name_length = lie;
        EXPECT_NE(message_of([&] { parse_raw(raw); }), "") << "name " << lie;
        raw = {};
        raw.n_calls = lie;
        if (lie < 0) {
            EXPECT_NE(message_of([&] { parse_raw(raw); }), "") << "calls " << lie;
        }
        raw = {};
        raw.dataset_length = lie;
        if (lie < 0 || lie > 3) {
            EXPECT_NE(message_of([&] { parse_raw(raw); }), "") << "dataset " << lie;
        }
    }
}

TEST(Legacy, SaysWhatIsNoMatrix) {
    const auto said = [](std::string_view bytes) {
        Notes notes;
        return message_of([&] { parse(std::as_bytes(std::span(bytes)), "m", {8}, notes); });
    };
    const std::string neither = "m: is neither a GGUF file nor a legacy importance matrix";
    EXPECT_EQ(said("<html><body>"), neither + " but a web page");
    EXPECT_EQ(said(""), neither + " but an empty file");
    EXPECT_EQ(said(std::string_view("\2\0\0\0\0\0\0\0{}", 10)), neither + " but a safetensors file");
    EXPECT_EQ(said(std::string_view("\2\0\0\0\0\0\0\0..", 10)),
              neither + ": name length at byte 4 is 0, expected at least 1");
    // A name that looks like another file's beginning is still a name.
    EXPECT_EQ(said(std::string_view("\1\0\0\0\6\0\0\0<html>\1\0\0\0\1\0\0\0\0\0\x80\x3f", 26)), "");
}

TEST(Legacy, RefusesNumbersThatAreNoMeanSquares) {
    for (const float value : {std::nanf(""), INFINITY, -INFINITY, -1.0f}) {
        Raw raw;
        raw.first = value;
        EXPECT_NE(message_of([&] { parse_raw(raw); }).find("at byte 17"), std::string::npos) << value;
    }
}

TEST(Legacy, RefusesEveryTruncationButTheOptionalTrailer) {
    const auto bytes = Raw{}.bytes();
    const std::size_t entries_end = bytes.size() - 11, chunk_end = bytes.size() - 7;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        Notes notes;
        const std::string message = message_of([&] { parse(part, "cut.dat", {8}, notes); });
        EXPECT_EQ(message.empty(), n == entries_end || n == chunk_end) << n << ": " << message;
    }
}

TEST(Legacy, TellsOfBytesBehindItsEnd) {
    auto bytes = Raw{}.bytes();
    bytes.resize(bytes.size() + 5);
    Notes notes;
    parse(bytes, "long.dat", {8}, notes);
    EXPECT_EQ(notes, Notes{"long.dat: 5 bytes after the dataset name are ignored"});
}

TEST(Legacy, HoldsNoMoreCallsThanItsNumbersDo) {
    Matrix matrix = sample();
    matrix.chunk_size = 1;
    matrix.entries.at("blk.0.attn_q.weight").counts = {0x1p31};
    Notes notes;
    EXPECT_EQ(message_of([&] { serialise(matrix, Format::Legacy, notes); }),
              "blk.0.attn_q.weight: has 2147483648 where the legacy format holds at most 2^31 - 1");
}

TEST(Legacy, RefusesAnEntryThatOccursTwice) {
    ByteWriter out;
    out.write(std::int32_t{2});
    for (int i = 0; i < 2; ++i) {
        out.write(std::int32_t{1});
        out.write_text("w");
        out.write(std::int32_t{1});
        out.write(std::int32_t{1});
        out.write(1.0f);
    }
    Notes notes;
    EXPECT_EQ(message_of([&] { parse(out.bytes(), "twice.dat", {8}, notes); }),
              "twice.dat: entry w occurs twice");
}

}  // namespace
}  // namespace assay::imatrix
