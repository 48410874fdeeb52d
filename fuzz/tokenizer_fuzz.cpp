// Text of any bytes against a small vocabulary in the hands of every family and pre-tokenizer. The first two
// bytes pick them and the way of encoding; the rest is the text. Nothing may be thrown (every byte can be
// spelled or is unknown), and every id must be inside the vocabulary. One more choice reads the rest as a
// character map and applies it to itself: there only an Error may be thrown.
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/split_rules.h"
#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {
namespace {

gguf::Metadata sample(const std::string& model, const std::string& pre) {
    gguf::Strings texts{"<unk>", "<s>", "</s>", "<|a|>", "<|a|><", "  ", "\n\n"};
    gguf::Integers types{2, 3, 3, 4, 4, 4, 4};
    const auto alphabet = byte_alphabet();
    const std::string mark(kSpaceMark);
    for (unsigned byte = 0; byte < 256; ++byte) {
        texts.push_back(alphabet[byte]);
        texts.push_back(fmt::format("<0x{:02X}>", byte));
    }
    gguf::Strings merges{
        "a b",       "ab a", "a a", "aa aa", alphabet[' '] + " a", mark + " a", mark + " " + mark,
        "a " + mark, "1 2"};
    for (const std::string& merge : merges) {
        const std::size_t space = merge.find(' ');
        texts.push_back(merge.substr(0, space) + merge.substr(space + 1));
    }
    types.resize(texts.size(), 1);
    for (std::size_t i = 7; i < 7 + 512; i += 2) types[i + 1] = 6;
    const gguf::Reals scores(texts.size(), -1.0);
    gguf::Metadata metadata("fuzz");
    metadata.set("tokenizer.ggml.model", gguf::text(model));
    metadata.set("tokenizer.ggml.pre", gguf::text(pre));
    metadata.set("general.name", gguf::text("phi-3"));
    metadata.set("tokenizer.ggml.scores", gguf::f32s(scores));
    metadata.set("tokenizer.ggml.unknown_token_id", gguf::u32(0));
    metadata.set("tokenizer.ggml.seperator_token_id", gguf::u32(2));
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(1));
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(2));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    metadata.set("tokenizer.ggml.tokens", gguf::texts(texts));
    metadata.set("tokenizer.ggml.token_type", gguf::i32s(types));
    metadata.set("tokenizer.ggml.merges", gguf::texts(merges));
    return metadata;
}

std::unique_ptr<Tokenizer> make(const std::string& model, const std::string& pre) {
    return make_tokenizer(sample(model, pre));
}

void check_character_map(std::string_view bytes) {
    gguf::Integers values;
    for (const char c : bytes) values.push_back(static_cast<unsigned char>(c));
    gguf::Metadata metadata = sample("t5", "");
    metadata.set("tokenizer.ggml.precompiled_charsmap",
                 {gguf::ValueType::Array, gguf::ValueType::U8, std::move(values)});
    try {
        make_tokenizer(metadata)->encode(bytes);
    } catch (const Error&) {
    }
}

std::vector<std::unique_ptr<Tokenizer>> make_all() {
    std::vector<std::unique_ptr<Tokenizer>> all;
    for (const char* model :
         {"llama", "gemma4", "whitespace", "hybriddna", "bert", "t5", "rwkv", "plamo2", "plamo3"})
        all.push_back(make(model, "gpt-2"));
    for (const std::string_view name : pre_tokenizer_names()) all.push_back(make("gpt2", std::string(name)));
    return all;
}

void check(const std::uint8_t* data, std::size_t size) {
    static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = make_all();
    if (size < 2) return;
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t choice = data[0] % (tokenizers.size() + 1);
    if (choice == tokenizers.size()) return check_character_map(text);
    const Tokenizer& tokenizer = *tokenizers[choice];
    for (const Token id : tokenizer.encode(text, {(data[1] & 1) != 0, (data[1] & 2) != 0}))
        if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocabulary().size()) std::abort();
}

}  // namespace
}  // namespace assay::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    assay::tokenizer::check(data, size);
    return 0;
}
