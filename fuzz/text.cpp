#include <memory>
#include <vector>

#include "core/error.h"
#include "fuzz/sample_vocabulary.h"
#include "fuzz/support.h"
#include "tokenizer/split_rules.h"
#include "tokenizer/tokenizer.h"

namespace assay::fuzz {

namespace {

using tokenizer::Tokenizer;

std::vector<std::unique_ptr<Tokenizer>> make_all() {
    std::vector<std::unique_ptr<Tokenizer>> all;
    for (const char* model : kFamilies)
        all.push_back(tokenizer::make_tokenizer(sample_vocabulary(model, "gpt-2")));
    for (const std::string_view name : tokenizer::pre_tokenizer_names())
        all.push_back(tokenizer::make_tokenizer(sample_vocabulary("gpt2", std::string(name))));
    return all;
}

/// The bytes as a character map, applied to themselves: there an Error may be thrown.
void examine_character_map(std::string_view bytes) {
    gguf::Integers values;
    for (const char c : bytes) values.push_back(static_cast<unsigned char>(c));
    gguf::Metadata metadata = sample_vocabulary("t5", "");
    metadata.set("tokenizer.ggml.precompiled_charsmap",
                 {gguf::ValueType::Array, gguf::ValueType::U8, std::move(values)});
    try {
        tokenizer::make_tokenizer(metadata)->encode(bytes);
    } catch (const Error& error) {
        expect(error.kind() == ErrorKind::BadFile, error.what());
    }
}

}  // namespace

void examine_text(Bytes bytes) {
    static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = make_all();
    if (bytes.size() < 2) return;
    const std::string_view text = text_of(bytes.subspan(2));
    const std::size_t choice = static_cast<std::size_t>(bytes[0]) % (tokenizers.size() + 1);
    if (choice == tokenizers.size()) return examine_character_map(text);
    const Tokenizer& tokenizer = *tokenizers[choice];
    const auto how = static_cast<unsigned>(bytes[1]);
    for (const tokenizer::Token id : tokenizer.encode(text, {(how & 1) != 0, (how & 2) != 0}))
        expect(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary().size(),
               "an id is inside the vocabulary");
}

}  // namespace assay::fuzz
