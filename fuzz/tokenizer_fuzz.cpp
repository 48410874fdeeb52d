// Text of any bytes against small vocabularies of both families. The first two bytes pick the vocabulary and
// the way of encoding; the rest is the text. Nothing may be thrown (every byte can be spelled), and every id
// must be inside the vocabulary.
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <string>
#include <vector>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/split_rules.h"
#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {
namespace {

std::unique_ptr<Tokenizer> make(const std::string& model, const std::string& pre) {
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
    gguf::Metadata metadata("fuzz");
    metadata.set("tokenizer.ggml.model", gguf::text(model));
    metadata.set("tokenizer.ggml.pre", gguf::text(pre));
    metadata.set("general.name", gguf::text("phi-3"));
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(1));
    metadata.set("tokenizer.ggml.eos_token_id", gguf::u32(2));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    metadata.set("tokenizer.ggml.tokens", gguf::texts(texts));
    metadata.set("tokenizer.ggml.token_type", gguf::i32s(types));
    metadata.set("tokenizer.ggml.merges", gguf::texts(merges));
    return make_tokenizer(metadata);
}

std::vector<std::unique_ptr<Tokenizer>> make_all() {
    std::vector<std::unique_ptr<Tokenizer>> all;
    all.push_back(make("llama", ""));
    const std::string names = pre_tokenizer_names();
    for (std::size_t begin = 0; begin < names.size();) {
        const std::size_t end = std::min(names.find(' ', begin), names.size());
        all.push_back(make("gpt2", names.substr(begin, end - begin)));
        begin = end + 1;
    }
    return all;
}

void check(const std::uint8_t* data, std::size_t size) {
    static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = make_all();
    if (size < 2) return;
    const Tokenizer& tokenizer = *tokenizers[data[0] % tokenizers.size()];
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    for (const Token id : tokenizer.encode(text, {(data[1] & 1) != 0, (data[1] & 2) != 0}))
        if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocabulary().size()) std::abort();
}

}  // namespace
}  // namespace assay::tokenizer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    assay::tokenizer::check(data, size);
    return 0;
}
