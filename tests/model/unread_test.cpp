// What a file says must be read, mean nothing, or be refused: headers made by hand, one thing changed in
// each.
#include "model/unread.h"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "gguf/writer.h"
#include "model/registry.h"
#include "support/temp_dir.h"

namespace assay::model {
namespace {

constexpr std::uint64_t kHidden = 8, kHeads = 2, kFfn = 16, kVocabulary = 6, kLayers = 2;

/// A model of llama's frame; weights are zeros.
struct Header {
    std::map<std::string, gguf::Value> keys;
    std::map<std::string, std::vector<std::uint64_t>> tensors;
    std::string prefix;

    explicit Header(const std::string& architecture) : prefix(architecture + ".") {
        keys["general.architecture"] = gguf::text(architecture);
        keys["tokenizer.ggml.tokens"] = gguf::texts(gguf::Strings(kVocabulary, "t"));
        key("context_length", gguf::u32(64));
        key("embedding_length", gguf::u32(kHidden));
        key("block_count", gguf::u32(kLayers));
        key("feed_forward_length", gguf::u32(kFfn));
        key("attention.head_count", gguf::u32(kHeads));
        key("attention.layer_norm_rms_epsilon", gguf::f32(1e-5f));
        tensors["token_embd.weight"] = {kHidden, kVocabulary};
        tensors["output_norm.weight"] = {kHidden};
        for (std::uint64_t i = 0; i < kLayers; ++i) add_layer(i);
    }

    void key(const std::string& name, gguf::Value value) { keys[prefix + name] = std::move(value); }

    void add_layer(std::uint64_t i) {
        const std::string block = "blk." + std::to_string(i) + ".";
        for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"})
            tensors[block + name + ".weight"] = {kHidden, kHidden};
        for (const char* name : {"ffn_gate", "ffn_up"}) tensors[block + name + ".weight"] = {kHidden, kFfn};
        tensors[block + "ffn_down.weight"] = {kFfn, kHidden};
        for (const char* name : {"attn_norm", "ffn_norm"}) tensors[block + name + ".weight"] = {kHidden};
    }

    /// The sentence with which build() refuses the model; empty where it does not.
    std::string refusal() const {
        return refusal_by([](const gguf::File& file) { build(file, {64}); });
    }

    /// The same of a program that uses every tensor and read no keys.
    std::string refusal_of_keys() const {
        return refusal_by([this](const gguf::File& file) {
            std::set<std::string> used;
            for (const auto& [name, ne] : tensors) used.insert(name);
            const Hyperparameters hp(file.metadata(), prefix.substr(0, prefix.size() - 1));
            refuse_unread(file, hp, used, hp.n_layers());
        });
    }

    std::string refusal_by(const std::function<void(const gguf::File&)>& read) const {
        gguf::Writer writer;
        for (const auto& [name, value] : keys) writer.add(name, value);
        std::uint64_t most = 0;
        for (const auto& [name, ne] : tensors) most = std::max(most, elements(ne));
        const std::vector<std::byte> zeros(most * sizeof(float));
        for (const auto& [name, ne] : tensors)
            writer.add_tensor(name, ne, quant::TypeId::F32,
                              std::span(zeros).first(elements(ne) * sizeof(float)));
        const test::TempDir folder;
        write_file_atomically(folder / "model.gguf", writer.bytes());
        const gguf::File file = gguf::File::open(folder / "model.gguf");
        try {
            read(file);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

    static std::uint64_t elements(const std::vector<std::uint64_t>& ne) {
        std::uint64_t n = 1;
        for (const std::uint64_t size : ne) n *= size;
        return n;
    }
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(Unread, NothingIsLeftOfAPlainModel) {
    EXPECT_EQ(Header("llama").refusal(), "");
    EXPECT_EQ(Header("qwen2").refusal(), "");
}

TEST(Unread, ATensorOfALayerIsRefused) {
    Header header("llama");
    header.tensors["blk.1.attn_q_norm.weight"] = {kHidden / kHeads};
    EXPECT_TRUE(
        has(header.refusal(), "tensor blk.1.attn_q_norm.weight [4] has no place in architecture llama"))
        << header.refusal();
    header.tensors["blk.0.attn_q.lora_a"] = {kHidden, 2};
    EXPECT_TRUE(has(header.refusal(), "with 1 others")) << header.refusal();
}

TEST(Unread, ASecondFinalNormIsRefused) {
    Header header("llama");
    header.tensors["output_norm_2.weight"] = {kHidden};
    EXPECT_TRUE(has(header.refusal(), "tensor output_norm_2.weight")) << header.refusal();
}

TEST(Unread, ALayerBeyondTheCountIsRefused) {
    Header header("llama");
    header.add_layer(kLayers);
    EXPECT_TRUE(has(header.refusal(), "belongs to block 2, but llama.block_count is 2")) << header.refusal();
    header.key("block_count", gguf::u32(kLayers + 2));
    EXPECT_TRUE(has(header.refusal(), "blk.3.")) << header.refusal();
}

TEST(Unread, BlocksBehindTheTrunkMayHoldAnything) {
    Header header("llama");
    header.tensors["blk.2.nextn.eh_proj.weight"] = {2 * kHidden, kHidden};
    header.key("block_count", gguf::u32(kLayers + 1));
    header.key("nextn_predict_layers", gguf::u32(1));
    EXPECT_EQ(header.refusal(), "");
    header.tensors["blk.1.nextn.eh_proj.weight"] = {2 * kHidden, kHidden};
    EXPECT_TRUE(has(header.refusal(), "tensor blk.1.nextn.eh_proj.weight")) << header.refusal();
}

TEST(Unread, WhatMeansNothingForTextIsLetThrough) {
    Header header("llama");
    header.tensors["blk.0.attn_rot_embd.weight"] = {2};
    header.tensors["blk.0.attn_q.input_scale"] = {1};
    header.tensors["cls.output.weight"] = {kHidden, 2};
    header.tensors["v.blk.0.attn_q.weight"] = {kHidden, kHidden};
    header.tensors["mm.0.weight"] = {kHidden, kHidden};
    EXPECT_EQ(header.refusal(), "");
}

TEST(Unread, AVocabularyOfAnotherSizeIsRefused) {
    Header header("llama");
    header.keys["tokenizer.ggml.tokens"] = gguf::texts(gguf::Strings(kVocabulary + 1, "t"));
    EXPECT_TRUE(has(header.refusal(), "the vocabulary has 7 tokens, token_embd.weight 6 rows"))
        << header.refusal();
}

TEST(Unread, AKeyThatOnlyOthersReadMeansNothing) {
    Header header("llama");
    header.key("attention.sliding_window", gguf::u32(32));
    header.key("attn_logit_softcapping", gguf::f32(50));
    header.key("residual_scale", gguf::f32(0.5f));
    EXPECT_EQ(header.refusal(), "");
}

TEST(Unread, AKeyThatTheArchitectureReadsIsRefused) {
    Header header("gemma2");
    for (const char* block : {"blk.0.", "blk.1."})
        for (const char* norm : {"post_attention_norm.weight", "post_ffw_norm.weight"})
            header.tensors[std::string(block) + norm] = {kHidden};
    header.key("attention.sliding_window", gguf::u32(32));
    header.key("rope.dimension_count", gguf::u32(4));
    header.key("rope.dimension_count_swa", gguf::u32(4));
    EXPECT_EQ(header.refusal(), "");
    header.key("rope.dimension_count_swa", gguf::u32(2));
    EXPECT_TRUE(has(header.refusal(), "gemma2.rope.dimension_count_swa is 2, which changes"))
        << header.refusal();
    header.key("attention.sliding_window", gguf::u32(0));
    EXPECT_EQ(header.refusal(), "");
}

TEST(Unread, ANeutralValueMeansNothing) {
    Header header("gemma2");
    header.key("final_logit_softcapping", gguf::f32(0));
    header.key("attention.causal", gguf::boolean(true));
    EXPECT_EQ(header.refusal_of_keys(), "");
    header.key("final_logit_softcapping", gguf::f32(30));
    EXPECT_TRUE(has(header.refusal_of_keys(), "gemma2.final_logit_softcapping is 30, which changes"))
        << header.refusal_of_keys();
    header.key("final_logit_softcapping", gguf::f32(0));
    header.key("attention.causal", gguf::boolean(false));
    EXPECT_TRUE(has(header.refusal_of_keys(), "gemma2.attention.causal is false"))
        << header.refusal_of_keys();
}

TEST(Unread, AnArrayIsNeutralWhereEachEntryIs) {
    Header header("maple");
    header.key("swiglu_clamp_exp", gguf::f32s({0, 0}));
    EXPECT_EQ(header.refusal_of_keys(), "");
    header.key("swiglu_clamp_exp", gguf::f32s({0, 7}));
    EXPECT_TRUE(has(header.refusal_of_keys(), "maple.swiglu_clamp_exp is")) << header.refusal_of_keys();
}

TEST(Unread, AnArrayHasAnEntryForEachLayer) {
    Header header("llama");
    header.key("attention.head_count", gguf::i32s({2, 2}));
    EXPECT_EQ(header.refusal(), "");
    header.key("attention.head_count", gguf::i32s({2, 2, 2}));
    EXPECT_TRUE(has(header.refusal(), "llama.attention.head_count has 3 entries")) << header.refusal();
}

TEST(Registry, KnowsNamesHoweverTheyAreParted) {
    for (const char* name : {"smollm3", "smol_lm3", "smol-lm3"})
        EXPECT_EQ(Header(name).refusal(), "") << name;
    EXPECT_TRUE(has(Header("smollm4").refusal(), "architecture smollm4 is not known"));
}

TEST(Registry, HasNoTwoNamesThatDifferInDashesOnly) {
    std::set<std::string> bare;
    for (const std::string_view name : known_architectures()) {
        std::string letters(name);
        std::erase_if(letters, [](char c) { return c == '-' || c == '_'; });
        EXPECT_TRUE(bare.insert(letters).second) << name;
    }
}

}  // namespace
}  // namespace assay::model
