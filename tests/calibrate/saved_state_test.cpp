// States on disk: all that was written comes back, and nothing that is damaged or does not fit is taken.
#include "calibrate/saved_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>

#include "core/error.h"
#include "support/planned.h"

namespace assay::calibrate {
namespace {

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
    const MappedFile file(path);
    return {file.bytes().begin(), file.bytes().end()};
}

class SavedStateTest : public testing::Test {
  protected:
    SavedStateTest() {
        sums_.committed.matrix.chunk_size = 64;
        sums_.committed.matrix.datasets = {"a.txt", "b.txt"};
        sums_.committed.matrix.extra.set("assay.model.name", gguf::text("model"));
        sums_.committed.matrix.entries["dense"] = {2, {1.0 / 3, 1e300}, {-1.0 / 3, 0}, {0x1p52 + 1}};
        sums_.committed.matrix.entries["experts"] = {1, {1, 2}, {}, {3, 0}};
        sums_.committed.matrix.entries["wide"] = {2, {1, 2}, {3, 4}, {5}, {0x1p-60F, 0}, {0, -0x1p-60F}};
        sums_.committed.chunk_losses = {{1.5, 2.5, 3}, {4.5, 5.5, 6}};
        sums_.committed.matrix.n_layer_nextn = 1;
        sums_.committed.nextn_losses = {{{7.5, 8.5, 3}, {9.5, 10.5, 6}}};
        sums_.committed.skipped = {2, 5};
        sums_.committed.similarity.add(similarity::Kind::Layer, 1, {{0.1, 0x1p-60}, 0.2, 7});
    }
    void write(const StateContent& content) const {
        const auto file = begin_state(path_, content);
        file->commit();
        EXPECT_EQ(file->size_bytes(), std::filesystem::file_size(path_));
    }
    StateContent content(const Position& position) { return {{3, position, 11}, identity_, sums_, plan_}; }

    test::TempDir folder_;
    const std::filesystem::path path_ = folder_ / "state";
    const test::Planned planned_{"llama-dense"};
    const plan::PassPlan& plan_ = planned_.plan;
    const Identity identity_{{"one", "1"}, {"two", "2"}};
    CollectorState sums_;
};

TEST_F(SavedStateTest, HoldsAllThatWasThere) {
    write(content({5, 0, 0}));
    const SavedState state(path_);
    EXPECT_EQ(state.head().sequence, 3);
    EXPECT_EQ(state.head().position, (Position{5, 0, 0}));
    EXPECT_EQ(state.head().chunks_before, 11);
    EXPECT_FALSE(difference(state.identity(), identity_));
    const CollectorState found = state.sums();
    EXPECT_EQ(found.committed.matrix.entries, sums_.committed.matrix.entries);
    EXPECT_EQ(found.committed.matrix.datasets, sums_.committed.matrix.datasets);
    EXPECT_EQ(found.committed.matrix.chunk_size, 64u);
    EXPECT_EQ(found.committed.matrix.extra.find_string("assay.model.name").value_or(""), "model");
    ASSERT_EQ(found.committed.chunk_losses.size(), 2u);
    EXPECT_EQ(found.committed.chunk_losses[1].nll_squared, 5.5);
    EXPECT_EQ(found.committed.matrix.n_layer_nextn, 1u);
    ASSERT_EQ(found.committed.nextn_losses.size(), 1u);
    ASSERT_EQ(found.committed.nextn_losses[0].size(), 2u);
    EXPECT_EQ(found.committed.nextn_losses[0][1].nll_squared, 10.5);
    EXPECT_EQ(found.committed.skipped, sums_.committed.skipped);
    const similarity::Sum& layer = found.committed.similarity.sums(similarity::Kind::Layer).at(1);
    EXPECT_EQ(layer.count, 7u);
    EXPECT_EQ(layer.cos.low, 0x1p-60);
}

TEST_F(SavedStateTest, EveryDamageIsSeen) {
    write(content({5, 0, 0}));
    const std::vector<std::byte> whole = bytes_of(path_);
    const auto refused = [&](const std::vector<std::byte>& bytes) {
        write_file_atomically(path_, bytes);
        try {
            SavedState state(path_);
        } catch (const Error& error) {
            return error.kind() == ErrorKind::BadFile;
        }
        return false;
    };
    for (std::size_t at = 0; at < whole.size(); at += 61) {
        std::vector<std::byte> bytes = whole;
        bytes[at] ^= std::byte{4};
        EXPECT_TRUE(refused(bytes)) << "byte " << at;
        bytes = whole;
        bytes.resize(at);
        EXPECT_TRUE(refused(bytes)) << at << " bytes";
    }
}

TEST_F(SavedStateTest, WhatDoesNotFitTogetherIsRefused) {
    gguf::Writer empty;
    begin_sealed(path_, empty)->commit();
    EXPECT_THROW(SavedState state(path_), Error);
    sums_.committed.matrix.entries["dense"].sum.pop_back();
    write(content({5, 0, 0}));
    EXPECT_THROW(SavedState(path_).sums(), Error);
    sums_.committed.matrix.entries["dense"].sum.clear();
    const std::size_t stage = plan_.stages().size() - 1;
    sums_.touched = {{{"dense"}, {2, {6, 7}, {8}, {10}}}};
    const auto rows = [&](std::int32_t slot, const auto& out) {
        const plan::Slot& shape = plan_.slots()[static_cast<std::size_t>(slot)];
        out(std::vector<std::byte>(static_cast<std::size_t>(64 * shape.cols * size_of(shape.type))));
    };
    const engine::WavePart whole{{5, 1}, 64, rows};
    StateContent lying = content({5, 1, static_cast<std::int64_t>(stage)});
    lying.parts = {&whole, 1};
    write(lying);
    EXPECT_THROW(SavedState(path_).sums(), Error) << "sums of a wave";
    sums_.touched.clear();
    const auto zeros = [](std::int32_t, const auto& out) { out(std::vector<std::byte>(64)); };
    const engine::WavePart part{{5, 1}, 512, zeros};
    StateContent wave = content({5, 1, static_cast<std::int64_t>(stage)});
    wave.parts = {&part, 1};
    EXPECT_THROW(write(wave), Error) << "a part that gives other bytes than its slot has";
    write(content({5, 0, 0}));
    EXPECT_THROW(SavedState(path_).wave_start(plan_, equal_starts(8, 512)), Error) << "a state between waves";
}

TEST_F(SavedStateTest, AWaveMustFitTheTextAndTheModel) {
    const auto start_of = [&](std::int64_t stage, std::int64_t n_chunks, std::int64_t chunk_tokens = 64) {
        const auto rows = [&](std::int32_t slot, const auto& out) {
            const plan::Slot& shape = plan_.slots()[static_cast<std::size_t>(slot)];
            out(std::vector<std::byte>(static_cast<std::size_t>(64 * shape.cols * size_of(shape.type))));
        };
        const engine::WavePart whole{{5, 1}, 64, rows};
        StateContent wave = content({5, 1, stage});
        wave.parts = {&whole, 1};
        write(wave);
        try {
            SavedState(path_).wave_start(plan_, equal_starts(n_chunks, chunk_tokens));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::BadFile);
            return std::string(error.message());
        }
        return std::string();
    };
    const auto last = static_cast<std::int64_t>(plan_.stages().size()) - 1;
    EXPECT_EQ(start_of(last, 6), "");
    EXPECT_EQ(start_of(last, 5), "stands at a chunk that the text has not");
    EXPECT_EQ(start_of(last, 2), "stands at a chunk that the text has not");
    EXPECT_EQ(start_of(0, 6), "stands at a stage that the model has not");
    EXPECT_EQ(start_of(last, 6, 128), "has not the hidden states that the model needs");
    EXPECT_EQ(start_of(last + 1, 6), "stands at a stage that the model has not");
    // Hidden states in more rows of a part of the width, or none of them.
    const auto start_with = [&](std::uint64_t part) {
        start_of(last, 6);
        const std::vector<std::byte> whole = bytes_of(path_);
        const gguf::Header header = gguf::parse_header(whole, path_.string());
        gguf::Writer writer;
        for (const auto& [name, kept] : header.metadata.values()) writer.add(name, kept);
        for (const gguf::Tensor& tensor : header.tensors) {
            const bool hidden = tensor.name.starts_with("slot.");
            if (hidden && part == 0) continue;
            const std::uint64_t width = hidden ? tensor.ne[0] / part : tensor.ne[0];
            writer.add_tensor(tensor.name, {width, tensor.elements() / width}, tensor.type->id,
                              std::span(whole).subspan(tensor.offset_bytes, tensor.size_bytes));
        }
        begin_sealed(path_, writer)->commit();
        try {
            SavedState(path_).wave_start(plan_, equal_starts(6, 64));
        } catch (const Error& error) {
            return std::string(error.message());
        }
        return std::string();
    };
    EXPECT_EQ(start_with(1), "");
    EXPECT_EQ(start_with(2), "has not the hidden states that the model needs");
    EXPECT_EQ(start_with(0), "has not the hidden states that the model needs");
}

// The checksum is right, so that only the keys can tell.
TEST_F(SavedStateTest, KeysThatLieAreRefused) {
    write(content({5, 0, 0}));
    const std::vector<std::byte> whole = bytes_of(path_);
    const gguf::Header header = gguf::parse_header(whole, path_.string());
    // With another value of the key, or without it.
    const auto refused = [&](const std::string& key, const std::optional<gguf::Value>& value) {
        gguf::Metadata keys = header.metadata;
        if (value) keys.set(key, *value);
        gguf::Writer writer;
        for (const auto& [name, kept] : keys.values())
            if (value || name != key) writer.add(name, kept);
        for (const gguf::Tensor& tensor : header.tensors)
            writer.add_tensor(tensor.name, {tensor.elements()}, tensor.type->id,
                              std::span(whole).subspan(tensor.offset_bytes, tensor.size_bytes));
        begin_sealed(path_, writer)->commit();
        try {
            SavedState(path_).sums();
        } catch (const Error& error) {
            return error.kind() == ErrorKind::BadFile;
        }
        return false;
    };
    const auto integer = [](std::int64_t value) { return gguf::Value{gguf::ValueType::I64, {}, value}; };
    const auto integers = [](const gguf::Integers& values) {
        return gguf::Value{gguf::ValueType::Array, gguf::ValueType::I64, values};
    };
    for (const char* count :
         {"state.sequence", "state.chunks_done", "state.wave_chunks", "state.stage", "state.chunks_before",
          "imatrix.chunk_count", "imatrix.chunk_size", "imatrix.n_layer_nextn"}) {
        EXPECT_TRUE(refused(count, integer(-1))) << count;
        EXPECT_TRUE(refused(count, gguf::text("1"))) << count;
    }
    for (const char* count : {"imatrix.chunk_count", "imatrix.chunk_size"})
        EXPECT_TRUE(refused(count, integer(std::int64_t{1} << 32))) << count;
    EXPECT_TRUE(refused("imatrix.n_layer_nextn", integer(UINT32_MAX)));
    for (const gguf::Integers& n :
         {gguf::Integers{1, 1}, {1, 1, 2}, {1, 1, 0}, {1, 1, -1}, {INT64_MAX, 1, 1}})
        EXPECT_TRUE(refused("state.committed.n_weights", integers(n))) << n.back();
    for (const gguf::Integers& widths : {gguf::Integers{2, 1}, {0, 1, 2}, {-2, 1, 2}, {3, 1, 2}})
        EXPECT_TRUE(refused("state.committed.widths", integers(widths))) << widths.front();
    EXPECT_TRUE(refused("state.committed.weights", gguf::texts({"dense"})));
    EXPECT_TRUE(refused("state.identity.names", gguf::texts({"one"})));
    EXPECT_TRUE(refused("general.type", gguf::text("model")));
    EXPECT_FALSE(refused("state.sequence", integer(3)));
    for (const char* key :
         {"state.identity.names", "state.committed.weights", "state.committed.widths", "state.sequence"})
        EXPECT_TRUE(refused(key, {})) << key;
    for (const char* key : {"imatrix.datasets", "state.skipped"}) EXPECT_FALSE(refused(key, {})) << key;
}

TEST_F(SavedStateTest, SumsThatDoNotFitTogetherAreRefused) {
    write(content({5, 0, 0}));
    const std::vector<std::byte> whole = bytes_of(path_);
    const gguf::Header header = gguf::parse_header(whole, path_.string());
    // Without the tensor, or with another type or length of it.
    const auto refused = [&](const std::string& name, std::optional<quant::TypeId> type, std::uint64_t n) {
        gguf::Writer writer;
        for (const auto& [key, value] : header.metadata.values()) writer.add(key, value);
        for (const gguf::Tensor& tensor : header.tensors) {
            const bool altered = tensor.name == name;
            if (altered && !type) continue;
            const quant::TypeId id = altered ? *type : tensor.type->id;
            const std::uint64_t count = altered ? n : tensor.elements();
            writer.add_tensor(tensor.name, {count}, id, [=](const gguf::Writer::Out& out) {
                out(std::vector<std::byte>(count * (id == quant::TypeId::F64 ? 8 : 4)));
            });
        }
        begin_sealed(path_, writer)->commit();
        try {
            SavedState(path_).sums();
        } catch (const Error& error) {
            return error.kind() == ErrorKind::BadFile;
        }
        return false;
    };
    constexpr auto kF32 = quant::TypeId::F32, kF64 = quant::TypeId::F64;
    ASSERT_TRUE(std::ranges::any_of(header.tensors, [](const gguf::Tensor& tensor) {
        return tensor.name == "committed.2.squares_low";  // of `wide`
    }));
    EXPECT_FALSE(refused("", {}, 0));
    EXPECT_TRUE(refused("committed.2.counts", {}, 0));
    EXPECT_TRUE(refused("committed.2.counts", kF64, 3));
    EXPECT_TRUE(refused("committed.2.counts", kF32, 1));
    EXPECT_TRUE(refused("committed.2.squares", kF64, 3));
    EXPECT_TRUE(refused("committed.2.squares", kF32, 2));
    EXPECT_TRUE(refused("committed.2.plain", kF64, 1));
    EXPECT_TRUE(refused("committed.2.squares_low", kF32, 1));
    EXPECT_TRUE(refused("committed.2.plain_low", kF32, 1));
    EXPECT_TRUE(refused("committed.2.plain_low", kF64, 2));
}

TEST(Position, OfMoreWorkIsAhead) {
    const std::vector<Position> rising{{0, 8, 1}, {0, 8, 2}, {8, 0, 0}, {8, 4, 3}, {12, 0, 0}};
    for (std::size_t a = 0; a < rising.size(); ++a)
        for (std::size_t b = 0; b < rising.size(); ++b)
            EXPECT_EQ(rising[a].is_behind(rising[b]), a < b) << a << ' ' << b;
}

}  // namespace
}  // namespace assay::calibrate
