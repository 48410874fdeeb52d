// Overrides take the place of a file's values, of the same kind.
#include "gguf/metadata.h"

#include <functional>
#include <gmock/gmock.h>

#include "core/error.h"

namespace assay::gguf {
namespace {

Metadata of_a_file() {
    Metadata metadata("model.gguf");
    metadata.set("general.architecture", text("llama"));
    metadata.set("llama.expert_used_count", u32(8));
    metadata.set("llama.rope.freq_base", f32(10000));
    metadata.set("tokenizer.ggml.add_bos_token", boolean(true));
    return metadata;
}

TEST(Overrides, ReplaceAndAdd) {
    Metadata metadata = of_a_file();
    metadata.apply({{"llama.expert_used_count", u64(16)},
                    {"{arch}.rope.freq_base", u32(500)},
                    {"llama.rope.freq_base", u64(500)},
                    {"tokenizer.ggml.add_bos_token", boolean(false)},
                    {"{arch}.rope.scaling.type", text("linear")}});
    EXPECT_EQ(metadata.get_integer("llama.expert_used_count"), 16);
    EXPECT_EQ(metadata.get_real("llama.rope.freq_base"), 500);
    EXPECT_EQ(metadata.find_bool("tokenizer.ggml.add_bos_token"), false);
    EXPECT_EQ(metadata.get_string("llama.rope.scaling.type"), "linear");
}

TEST(Overrides, GoInOrder) {
    Metadata metadata = of_a_file();
    metadata.apply({{"general.architecture", text("qwen3")}, {"{arch}.block_count", u32(2)}});
    EXPECT_EQ(metadata.get_integer("qwen3.block_count"), 2);
}

TEST(Overrides, TellWhatWasRead) {
    Metadata metadata("model.gguf");
    metadata.insert("general.architecture", text("llama"));
    metadata.insert("llama.block_count", u32(2));
    metadata.insert("general.name", text("a"));
    metadata.apply({{"{arch}.block_count", u32(3)},
                    {"llama.block_count", u32(4)},
                    {"general.name", text("b")},
                    {"llama.blok_count", u32(4)},
                    {"llama.scale", f64(0.5)},
                    {"tokenizer.ggml.add_bos_token", boolean(false)}});
    for (const Overridden& item : metadata.overridden()) EXPECT_FALSE(item.read) << item.key;
    metadata.get_integer("llama.block_count");
    metadata.find_real("llama.scale");
    metadata.find_bool("tokenizer.ggml.add_bos_token");
    const OverrideTexts texts = describe_overrides(metadata);
    EXPECT_EQ(texts.read, (std::vector<std::string>{
                              "llama.block_count = 4 (the file: 2)", "llama.scale = 0.5 (the file: nothing)",
                              "tokenizer.ggml.add_bos_token = false (the file: nothing)"}));
    EXPECT_EQ(texts.unread,
              (std::vector<std::string>{
                  "the override of general.name has no effect: nothing reads this key of this model",
                  "the override of llama.blok_count has no effect: nothing reads this key of this model, and "
                  "the file has none of that name"}));
}

TEST(Overrides, KeepTheKind) {
    const Overrides wrong[] = {{{"general.architecture", u32(1)}},
                               {{"llama.expert_used_count", f64(1.5)}},
                               {{"llama.expert_used_count", boolean(true)}},
                               {{"llama.rope.freq_base", boolean(true)}},
                               {{"tokenizer.ggml.add_bos_token", u32(1)}}};
    for (const Overrides& overrides : wrong) {
        Metadata metadata = of_a_file();
        try {
            metadata.apply(overrides);
            ADD_FAILURE() << "accepted " << overrides.front().first;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Usage);
            EXPECT_THAT(error.what(), testing::HasSubstr("model.gguf: " + overrides.front().first));
        }
    }
}

TEST(Overrides, TellValuesOfEveryKind) {
    Metadata metadata("model.gguf");
    metadata.insert("a", boolean(true));
    metadata.insert("b", text("x"));
    metadata.insert("c", i32s({1}));
    metadata.apply({{"a", boolean(false)}, {"b", text("y")}, {"c", i32s({2})}});
    metadata.find_bool("a");
    metadata.find_string("b");
    metadata.find_integers("c");
    EXPECT_EQ(describe_overrides(metadata).read,
              (std::vector<std::string>{"a = false (the file: true)", "b = 'y' (the file: 'x')",
                                        "c = an array (the file: an array)"}));
}

TEST(Metadata, GivesNothingForWhatIsNotThere) {
    const Metadata metadata("model.gguf");
    EXPECT_FALSE(metadata.find_integer("a"));
    EXPECT_FALSE(metadata.find_real("a"));
    EXPECT_FALSE(metadata.find_bool("a"));
    EXPECT_FALSE(metadata.find_string("a"));
    EXPECT_EQ(metadata.find_integers("a"), nullptr);
    EXPECT_EQ(metadata.find_strings("a"), nullptr);
    EXPECT_FALSE(metadata.find_reals("a"));
    for (const auto& get : std::vector<std::function<void()>>{[&] { metadata.get_integer("a"); },
                                                              [&] { metadata.get_real("a"); },
                                                              [&] { metadata.get_string("a"); }})
        try {
            get();
            ADD_FAILURE() << "there is none";
        } catch (const Error& error) {
            EXPECT_STREQ(error.what(), "model.gguf: metadata key a is missing");
        }
}

TEST(Metadata, SaysWhatIsOfAnotherKind) {
    Metadata metadata("model.gguf");
    metadata.set("integer", u32(1));
    metadata.set("text", text("x"));
    const std::pair<std::function<void()>, std::string> cases[] = {
        {[&] { metadata.find_integer("text"); }, "text is of type string, expected an integer"},
        {[&] { metadata.find_real("text"); }, "text is of type string, expected a number"},
        {[&] { metadata.find_bool("text"); }, "text is of type string, expected an integer"},
        {[&] { metadata.find_string("integer"); }, "integer is of type u32, expected a string"},
        {[&] { metadata.find_integers("text"); }, "text is of type string, expected an array of integers"},
        {[&] { metadata.find_strings("text"); }, "text is of type string, expected an array of strings"},
        {[&] { metadata.find_reals("text"); }, "text is of type string, expected an array of numbers"}};
    for (const auto& [find, expected] : cases) try {
            find();
            ADD_FAILURE() << expected;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::BadFile);
            EXPECT_EQ(error.what(), "model.gguf: metadata key " + expected);
        }
    EXPECT_EQ(metadata.find_real("integer"), 1);
}

}  // namespace
}  // namespace assay::gguf
