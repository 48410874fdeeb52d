#include "tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/sample.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

VocabularyDefaults llama_defaults() {
    VocabularyDefaults defaults;
    defaults.ids.bos = 1;
    defaults.ids.eos = 2;
    defaults.add_bos = true;
    return defaults;
}

Vocabulary load(const gguf::Metadata& metadata) { return Vocabulary(metadata, llama_defaults()); }

TEST(Vocabulary, ReadsTokensAndFallsBackToTheFamilysDefaults) {
    const Vocabulary vocabulary = load(sample_metadata(
        "llama", {{"<unk>", 0, kTypeUnknown}, {"<s>", 0, kTypeControl}, {"a", -1.5f}, {"b", 0, 99}}));
    EXPECT_EQ(vocabulary.size(), 4u);
    EXPECT_EQ(vocabulary.find("a"), 2);
    EXPECT_EQ(vocabulary.find("c"), kNoToken);
    EXPECT_EQ(vocabulary.score(2), -1.5f);
    EXPECT_EQ(vocabulary.attributes(0), kUnknown);
    EXPECT_EQ(vocabulary.attributes(3), 0);
    EXPECT_EQ(vocabulary.ids().bos, 1);
    EXPECT_EQ(vocabulary.ids().eos, 2);
    EXPECT_TRUE(vocabulary.add_bos());
    EXPECT_FALSE(vocabulary.add_eos());
    EXPECT_TRUE(vocabulary.warnings().empty());
}

TEST(Vocabulary, KeysOverrideDefaults) {
    gguf::Metadata metadata = sample_metadata("llama", {{"a"}, {"b"}, {"c"}, {"d"}});
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(3));
    metadata.set("tokenizer.ggml.seperator_token_id", gguf::u32(0));
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(false));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    const Vocabulary vocabulary = load(metadata);
    EXPECT_EQ(vocabulary.ids().bos, 3);
    EXPECT_EQ(vocabulary.ids().separator, 0);
    EXPECT_FALSE(vocabulary.add_bos());
    EXPECT_TRUE(vocabulary.add_eos());
    EXPECT_FALSE(vocabulary.add_separator());
}

TEST(Vocabulary, SomeFamiliesFrameTextsWhateverTheFileSays) {
    gguf::Metadata metadata = sample_metadata("llama", {{"a"}, {"b"}, {"c"}});
    const auto frame = [&](Framing framing, bool file_says) {
        metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(file_says));
        metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(file_says));
        VocabularyDefaults defaults = llama_defaults();
        defaults.framing = framing;
        const Vocabulary v(metadata, defaults);
        return fmt::format("{}{}{}", v.add_bos() ? "b" : "", v.add_eos() ? "e" : "",
                           v.add_separator() ? "s" : "");
    };
    EXPECT_EQ(frame(Framing::ByFile, true), "be");
    EXPECT_EQ(frame(Framing::ByFile, false), "");
    EXPECT_EQ(frame(Framing::AlwaysBos, false), "b");
    EXPECT_EQ(frame(Framing::BosAndSeparator, true), "bs");
    EXPECT_EQ(frame(Framing::BosAndSeparator, false), "bs");
    EXPECT_EQ(frame(Framing::None, true), "");
}

TEST(Vocabulary, PlamoHasAnOrdinaryTextThatEndsOtherModels) {
    gguf::Metadata metadata =
        sample_metadata("plamo2", {{"</s>", 0, kTypeControl}, {"x"}, {"<|plamo:eos|>", 0, kTypeControl}});
    EXPECT_EQ(load(metadata).attributes(0), kNormal);
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(1));
    EXPECT_EQ(load(metadata).attributes(0), kControl);
}

TEST(Vocabulary, RefusesArraysThatAreTooShort) {
    const auto with = [](const char* key, gguf::Value value) {
        gguf::Metadata metadata = sample_metadata("llama", {{"a"}, {"b"}});
        metadata.set(key, std::move(value));
        return thrown([&] { load(metadata); });
    };
    EXPECT_EQ(with("tokenizer.ggml.scores", gguf::f32s({0.0})),
              "sample: tokenizer.ggml.scores has 1 entries, expected 2");
    EXPECT_EQ(with("tokenizer.ggml.token_type", gguf::i32s({})),
              "sample: tokenizer.ggml.token_type has 0 entries, expected 2");
    EXPECT_EQ(with("tokenizer.ggml.tokens", gguf::texts({})), "sample: tokenizer.ggml.tokens is empty");
    EXPECT_THAT(with("tokenizer.ggml.tokens", gguf::i32s({1})), HasSubstr("expected an array of strings"));
    EXPECT_THAT(with("tokenizer.ggml.scores", gguf::text("x")), HasSubstr("expected an array of numbers"));
    EXPECT_EQ(with("tokenizer.ggml.scores", gguf::f32s({1, 2, 3})), "nothing");
    EXPECT_EQ(with("tokenizer.ggml.scores", gguf::i32s({1, 2})), "nothing");
    EXPECT_THAT(thrown([] { load(gguf::Metadata("sample")); }),
                HasSubstr("tokenizer.ggml.tokens is missing"));
}

TEST(Vocabulary, ToleratesWhatFilesInTheWildHave) {
    gguf::Metadata metadata = sample_metadata("llama", {{"a"}, {""}, {"a"}});
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(3));
    metadata.set("tokenizer.ggml.bos_token_id", gguf::i32(-1));
    const Vocabulary vocabulary = load(metadata);
    EXPECT_EQ(vocabulary.find("a"), 2);
    EXPECT_EQ(vocabulary.text(1), "[EMPTY_1]");
    EXPECT_EQ(vocabulary.find(""), kNoToken);
    EXPECT_EQ(vocabulary.ids().bos, 1);
    EXPECT_EQ(vocabulary.ids().eos, 2);
    EXPECT_EQ(vocabulary.warnings().size(), 4u);
    const Vocabulary one = load(sample_metadata("llama", {{"a"}}));
    EXPECT_EQ(one.ids().bos, kNoToken);  // the default, 1, is outside
}

TEST(Vocabulary, TextsThatEndGenerationBecomeControl) {
    const Vocabulary vocabulary = load(sample_metadata("llama", {{"<|im_end|>"},
                                                                 {"<end_of_turn>", 0, kTypeUserDefined},
                                                                 {"<|endoftext|>"},
                                                                 {"<|end|>"},
                                                                 {"<|channel|>", 0, kTypeControl},
                                                                 {"</s>"},
                                                                 {"<|file_sep|>"},
                                                                 {"[e~["},
                                                                 {"<eos>x"}}));
    EXPECT_EQ(vocabulary.attributes(0), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(1), kUserDefined | kControl);
    EXPECT_EQ(vocabulary.attributes(2), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(3), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(4), kUserDefined);
    EXPECT_EQ(vocabulary.attributes(5), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(6), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(7), kNormal | kControl);
    EXPECT_EQ(vocabulary.attributes(8), kNormal);
}

TEST(Vocabulary, ChannelFormatsKeepTheirEndToken) {
    for (const char* other : {"<|return|>", "<|flush|>"}) {
        const Vocabulary vocabulary =
            load(sample_metadata("llama", {{"<|end|>", 0, kTypeControl}, {"<|call|>"}, {other}}));
        EXPECT_EQ(vocabulary.attributes(0), kUserDefined) << other;
        EXPECT_EQ(vocabulary.attributes(1), kNormal | kControl) << other;
    }
    EXPECT_EQ(load(sample_metadata("llama", {{"<|end|>"}, {"<|return|>"}})).attributes(0),
              kNormal | kControl);
    EXPECT_EQ(load(sample_metadata("llama", {{"</s>", 0, kTypeControl}, {"<|tool_response>"}})).attributes(0),
              kNormal);
}

TEST(Vocabulary, FillInMiddleTextsMatterOnlyWithoutAnId) {
    gguf::Metadata metadata = sample_metadata("llama", {{"x"}, {"<PRE>"}, {"<|fim_prefix|>"}, {"<SUF>"}});
    const Vocabulary found = load(metadata);
    EXPECT_EQ(found.attributes(1), kNormal | kControl);
    EXPECT_EQ(found.attributes(2), kNormal);  // the role is taken
    EXPECT_EQ(found.attributes(3), kNormal | kControl);
    metadata.set("tokenizer.ggml.prefix_token_id", gguf::u32(0));
    EXPECT_EQ(load(metadata).attributes(1), kNormal);
}

TEST(Vocabulary, StripAttributesFollowTheModel) {
    gguf::Metadata metadata =
        sample_metadata("llama", {{"<mask>"}, {"[MASK]"}, {"<u>", 0, kTypeUserDefined}});
    metadata.set("tokenizer.ggml.pre", gguf::text("jina-v2-code"));
    EXPECT_EQ(load(metadata).attributes(0), kNormal | kStripLeft);
    metadata.set("tokenizer.ggml.pre", gguf::text("gpt-2"));
    metadata.set("general.name", gguf::text("A Modern-BERT"));
    EXPECT_EQ(load(metadata).attributes(0), kNormal);
    EXPECT_EQ(load(metadata).attributes(1), kNormal | kStripLeft);
    metadata.set("general.name", gguf::text("PHI3"));
    EXPECT_EQ(load(metadata).attributes(1), kNormal);
    EXPECT_EQ(load(metadata).attributes(2), kUserDefined | kStripRight);
}

TEST(Vocabulary, TakesTypesOfAnyIntegerAndScoresOfAnyNumber) {
    const auto with = [](const char* key, gguf::ValueType element, auto data) {
        gguf::Metadata metadata = sample_metadata("llama", {{"a", -1}, {"b", -2, kTypeControl}});
        metadata.set(key, gguf::Value{gguf::ValueType::Array, element, std::move(data)});
        return metadata;
    };
    using gguf::ValueType;
    for (const ValueType type : {ValueType::U32, ValueType::I64, ValueType::U8}) {
        const Vocabulary vocabulary = load(with("tokenizer.ggml.token_type", type, gguf::Integers{3, 1}));
        EXPECT_EQ(vocabulary.attributes(0), kControl);
        EXPECT_EQ(vocabulary.attributes(1), kNormal);
    }
    EXPECT_EQ(load(with("tokenizer.ggml.scores", ValueType::F64, gguf::Reals{-5, -6})).score(1), -6.0f);
    EXPECT_EQ(load(with("tokenizer.ggml.scores", ValueType::I32, gguf::Integers{-5, -6})).score(1), -6.0f);
    EXPECT_NE(thrown([&] {
                  load(with("tokenizer.ggml.token_type", ValueType::F32, gguf::Reals{3, 1}));
              }),
              "nothing");
    gguf::Metadata metadata("sample");
    metadata.set("tokenizer.ggml.tokens", gguf::texts({"a", "\xFF\xFE"}));
    EXPECT_EQ(load(metadata).attributes(1), kNormal) << "without types and scores";
    EXPECT_EQ(load(metadata).find("\xFF\xFE"), 1);
    metadata.set("tokenizer.ggml.bos_token_id", gguf::text("0"));
    EXPECT_NE(thrown([&] { load(metadata); }), "nothing");
}

}  // namespace
}  // namespace assay::tokenizer
