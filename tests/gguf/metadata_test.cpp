// Overrides take the place of a file's values, of the same kind.
#include "gguf/metadata.h"

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

}  // namespace
}  // namespace assay::gguf
