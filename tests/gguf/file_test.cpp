// Models in several files.
#include "gguf/file.h"

#include <cstring>
#include <gmock/gmock.h>

#include "core/error.h"
#include "gguf/writer.h"
#include "support/few_descriptors.h"
#include "support/temp_dir.h"

namespace assay::gguf {
namespace {

using testing::HasSubstr;

/// A model of two parts, `model-00001-of-00002.gguf` and its sibling, one tensor in each.
class SplitModel : public testing::Test {
  protected:
    SplitModel() {
        write_part(1, "a", 0);
        write_part(2, "b", 1);
    }

    std::filesystem::path part(int number) const {
        return folder_ / fmt::format("model-{:05}-of-00002.gguf", number);
    }
    /// What part `number` holds; `split_no` counts from 0.
    void write_part(int number, const std::string& tensor, std::uint16_t split_no,
                    std::uint64_t n_tensors = 2) {
        const std::vector<float> weights(8, static_cast<float>(number));
        Writer writer;
        writer.add("split.no", u16(split_no));
        writer.add("split.count", u16(2));
        writer.add("split.tensors.count", u64(n_tensors));
        writer.add("general.name", text("part " + std::to_string(number)));
        writer.add_tensor(tensor, {8}, quant::TypeId::F32, std::as_bytes(std::span(weights)));
        write_file_atomically(part(number), writer.bytes());
    }
    std::string refusal(const std::filesystem::path& path) const {
        try {
            File::open(path);
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing";
    }

    test::TempDir folder_;
};

TEST_F(SplitModel, IsOneFile) {
    const File file = File::open(part(1));
    EXPECT_EQ(file.n_shards(), 2u);
    ASSERT_EQ(file.tensors().size(), 2u);
    EXPECT_EQ(file.metadata().get_string("general.name"), "part 1");
    EXPECT_EQ(file.size_bytes(), std::filesystem::file_size(part(1)) + std::filesystem::file_size(part(2)));
    for (const auto& [name, expected] : {std::pair("a", 1.0f), std::pair("b", 2.0f)}) {
        float first = 0;
        std::memcpy(&first, file.data(file.get(name)).data(), sizeof first);
        EXPECT_EQ(first, expected) << name;
    }
}

TEST_F(SplitModel, HasMorePartsThanDescriptors) {
    constexpr int kParts = 60;
    const auto name = [&](int number) {
        return folder_ / fmt::format("m-{:05}-of-{:05}.gguf", number, kParts);
    };
    for (int number = 1; number <= kParts; ++number) {
        const auto weight = static_cast<float>(number);
        Writer writer;
        writer.add("split.no", u16(static_cast<std::uint16_t>(number - 1)));
        writer.add("split.count", u16(kParts));
        if (number > 1)  // the first part holds the metadata only
            writer.add_tensor(std::to_string(number), {1}, quant::TypeId::F32,
                              std::as_bytes(std::span(&weight, 1)));
        write_file_atomically(name(number), writer.bytes());
    }
    const test::FewDescriptors few(30);
    const File file = File::open(name(1));
    ASSERT_EQ(file.tensors().size(), std::size_t{kParts - 1});
    for (const Tensor& tensor : file.tensors()) {
        float value = 0;
        std::memcpy(&value, file.data(tensor).data(), sizeof value);
        EXPECT_EQ(std::to_string(static_cast<int>(value)), tensor.name);
    }
}

TEST_F(SplitModel, IsOpenedByItsFirstPart) {
    EXPECT_THAT(refusal(part(2)), HasSubstr("is part 2 of a split model; give the first part"));
    const auto renamed = folder_ / "renamed.gguf";
    std::filesystem::rename(part(1), renamed);
    EXPECT_THAT(refusal(renamed), HasSubstr("give the part named *-00001-of-00002.gguf"));
}

TEST_F(SplitModel, HasAllItsParts) {
    std::filesystem::remove(part(2));
    EXPECT_THAT(refusal(part(1)), HasSubstr("model-00002-of-00002.gguf: cannot open"));
    write_part(2, "b", 0);
    EXPECT_THAT(refusal(part(1)), HasSubstr("says it is part 1 of the split model, expected 2"));
    write_part(2, "a", 1);
    EXPECT_THAT(refusal(part(1)), HasSubstr("tensor a is also in an earlier part"));
    write_part(2, "b", 1);
    write_part(1, "a", 0, 3);
    EXPECT_THAT(refusal(part(1)), HasSubstr("split.tensors.count is 3, the 2 parts hold 2"));
}

TEST_F(SplitModel, HasNoMorePartsThanNamesCount) {
    const auto path = folder_ / "model-00001-of-00003.gguf";
    for (const std::int32_t count : {-1, 100'000}) {
        Writer writer;
        writer.add("split.count", i32(count));
        write_file_atomically(path, writer.bytes());
        EXPECT_THAT(refusal(path), count < 0 ? HasSubstr("nothing")
                                             : HasSubstr("split.count is 100000, expected at most 99999"));
    }
}

TEST_F(SplitModel, MayHaveAnyNameAndLieBehindLinks) {
    const auto folder = folder_ / "my model \xC3\xA9 \xE5\x9E\x8B";
    std::filesystem::create_directories(folder);
    for (const int number : {1, 2}) {  // as caches of downloads do: names link to what was stored by hash
        const auto stored = folder_ / fmt::format("{:064x}", number);
        std::filesystem::rename(part(number), stored);
        std::filesystem::create_symlink(stored,
                                        folder / fmt::format("the model-{:05}-of-00002.gguf", number));
    }
    EXPECT_EQ(File::open(folder / "the model-00001-of-00002.gguf").tensors().size(), 2u);
}

TEST_F(SplitModel, MustNotBeCutOrPutTogether) {
    const std::string whole = read_file(part(1)) + read_file(part(2));
    std::filesystem::resize_file(part(2), std::filesystem::file_size(part(2)) - 8);
    EXPECT_THAT(refusal(part(1)), HasSubstr("model-00002-of-00002.gguf: tensor b needs 32 bytes"));
    const auto together = folder_ / "all.gguf";
    write_file_atomically(together, std::as_bytes(std::span(whole)));
    EXPECT_THAT(refusal(together), HasSubstr("give the part named *-00001-of-00002.gguf"));
}

TEST_F(SplitModel, TakesOverTensorsOfAnotherFile) {
    const auto other = folder_ / "other.gguf";
    const std::vector<float> weights(8, 3.0f);
    Writer writer;
    for (const char* name : {"a", "c"})
        writer.add_tensor(name, {8}, quant::TypeId::F32, std::as_bytes(std::span(weights)));
    write_file_atomically(other, writer.bytes());
    File file = File::open(part(1));
    file.adopt(File::open(other), [](const Tensor& tensor) { return tensor.name == "c"; },
               {{"general.name", text("both")}});
    EXPECT_EQ(file.metadata().get_string("general.name"), "both");
    EXPECT_EQ(file.n_shards(), 3u);
    EXPECT_EQ(file.tensors().size(), 3u);
    for (const auto& [name, expected] : {std::pair("a", 1.0f), std::pair("b", 2.0f), std::pair("c", 3.0f)}) {
        float first = 0;
        std::memcpy(&first, file.data(file.get(name)).data(), sizeof first);
        EXPECT_EQ(first, expected) << name;
    }
    try {
        file.adopt(File::open(other), [](const Tensor&) { return true; }, {});
        ADD_FAILURE() << "taken twice";
    } catch (const Error& error) {
        EXPECT_EQ(error.message(), "tensor a is also in " + part(1).string());
    }
}

}  // namespace
}  // namespace assay::gguf
