// Bytes of text per second for SPM and BPE, on mixed text and on texts that are one run or one long word.
// The vocabulary is synthetic: pseudo-words, each reachable by joining one letter at a time. Every run checks
// the number of ids. `tokenizer_bench MODEL TEXT` measures a model's own tokenizer on a file instead.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <random>
#include <string>
#include <vector>

#include "core/file.h"
#include "gguf/file.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"

namespace assay::tokenizer {
namespace {

constexpr std::size_t kTextBytes = 4 << 20;

std::vector<std::string> pseudo_words() {
    std::mt19937 random(1);
    const std::string consonants = "bcdfghklmnprstvw";
    const std::string vowels = "aeiou";
    std::vector<std::string> words;
    for (int i = 0; i < 4000; ++i) {
        std::string word;
        for (std::size_t n = 1 + random() % 4; n > 0; --n) {
            word += consonants[random() % consonants.size()];
            word += vowels[random() % vowels.size()];
        }
        words.push_back(word);
    }
    return words;
}

gguf::Metadata metadata_of(const std::string& model, std::vector<std::string> texts, gguf::Strings merges) {
    gguf::Reals scores;
    for (std::size_t i = 0; i < texts.size(); ++i) scores.push_back(-static_cast<double>(i));
    gguf::Metadata metadata("bench");
    metadata.set("tokenizer.ggml.model", gguf::text(model));
    metadata.set("tokenizer.ggml.pre", gguf::text("qwen2"));
    metadata.set("tokenizer.ggml.tokens", gguf::texts(std::move(texts)));
    metadata.set("tokenizer.ggml.scores", gguf::f32s(std::move(scores)));
    metadata.set("tokenizer.ggml.merges", gguf::texts(std::move(merges)));
    return metadata;
}

std::unique_ptr<Tokenizer> make(const std::string& model) {
    const bool bpe = model == "gpt2";
    std::vector<std::string> texts;
    gguf::Strings merges;
    const auto alphabet = byte_alphabet();
    for (unsigned byte = 0; byte < 256; ++byte)
        texts.push_back(bpe ? alphabet[byte] : fmt::format("<0x{:02X}>", byte));
    const std::string space = bpe ? alphabet[' '] : std::string(kSpaceMark);
    if (!bpe) texts.push_back(space);
    for (const std::string& word : pseudo_words())
        for (const std::string& start : {std::string(), space}) {
            std::string text = start.empty() ? word.substr(0, 1) : start;
            for (std::size_t i = start.empty() ? 1 : 0; i < word.size(); ++i) {
                merges.push_back(text + " " + word[i]);
                text += word[i];
                texts.push_back(text);
            }
        }
    return make_tokenizer(metadata_of(model, std::move(texts), std::move(merges)));
}

enum Text { kMixed, kLetters, kOneLetter, kDigits, kSpaces, kNewlines };
constexpr const char* kTextNames[]{"mixed", "letters", "one_letter", "digits", "spaces", "newlines"};

std::string text_of(Text kind) {
    std::mt19937 random(2);
    const std::vector<std::string> words = pseudo_words();
    const std::vector<std::string> others{". ",
                                          ", ",
                                          "\n",
                                          " (",
                                          ") ",
                                          " 12345 ",
                                          "\n\n    ",
                                          " \xC3\xA9t\xC3\xA9",
                                          " \xE4\xB8\xAD\xE6\x96\x87",
                                          "'s"};
    std::string text;
    while (text.size() < kTextBytes) switch (kind) {
            case kMixed:
                text += random() % 6 == 0 ? others[random() % others.size()]
                                          : " " + words[random() % words.size()];
                break;
            case kLetters: text += static_cast<char>('a' + random() % 26); break;
            case kOneLetter: text += 'a'; break;
            case kDigits: text += static_cast<char>('0' + random() % 10); break;
            case kSpaces: text += ' '; break;
            case kNewlines: text += '\n'; break;
        }
    return text;
}

void encode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
    std::size_t n_ids = 0;
    for (auto _ : state) n_ids = tokenizer.encode(text, {false, false}).size();
    if (n_ids == 0 || n_ids > text.size() + 3) state.SkipWithError("implausible number of ids");
    state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
    state.counters["bytes/id"] = static_cast<double>(text.size()) / static_cast<double>(n_ids);
}

void register_all() {
    for (const char* model : {"llama", "gpt2"})
        for (const Text kind : {kMixed, kLetters, kOneLetter, kDigits, kSpaces, kNewlines})
            benchmark::RegisterBenchmark(
                fmt::format("{}/{}", model, kTextNames[kind]).c_str(),
                [=](benchmark::State& state) { encode(state, *make(model), text_of(kind)); })
                ->Unit(benchmark::kMillisecond);
}

void register_file(const std::string& model, const std::string& text) {
    benchmark::RegisterBenchmark(model.c_str(), [=](benchmark::State& state) {
        const gguf::File file = gguf::File::open(model);
        encode(state, *make_tokenizer(file.metadata()), read_file(text));
    })->Unit(benchmark::kMillisecond);
}

}  // namespace
}  // namespace assay::tokenizer

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (argc == 3)
        assay::tokenizer::register_file(argv[1], argv[2]);
    else
        assay::tokenizer::register_all();
    benchmark::RunSpecifiedBenchmarks();
}
