// Writes the seeds of the fuzz targets, from the goldens: make_corpus FOLDER, which is fuzz/corpus.
#include <fmt/format.h>
#include <string>
#include <vector>

#include "backend/open.h"
#include "calibrate/saved_state.h"
#include "core/error.h"
#include "core/file.h"
#include "fuzz/sample_vocabulary.h"
#include "fuzz/support.h"
#include "gguf/writer.h"
#include "model/registry.h"
#include "quant/type_table.h"

namespace assay::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = ASSAY_GOLDEN_DIR;

void write(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    write_file_atomically(path, std::as_bytes(std::span(text)));
}

/// One header of each kind of layer.
void write_models(const fs::path& folder) {
    for (const char* name : {"llama-dense", "phi3-long-dense", "llama-moe", "deepseek2-kvb-moe",
                             "mamba2-dense", "lfm2moe-moe", "qwen3next-moe"})
        write(folder / name, read_file(kGolden / "archs" / fmt::format("{}.head.gguf", name)));
}

void write_matrices(const fs::path& folder) {
    for (const char* name : {"sample.dat", "sample.gguf", "peer.dat", "peer.gguf"})
        write(folder / name, read_file(kGolden / "imatrix" / name));
}

void write_vocabularies(const fs::path& folder) {
    for (const char* family : kFamilies) {
        gguf::Writer writer;
        const gguf::Metadata metadata = sample_vocabulary(family, "gpt-2");
        for (const auto& [key, value] : metadata.values()) writer.add(key, value);
        const auto bytes = writer.bytes();
        write(folder / family, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
}

/// Four blocks of every type, counting upwards.
void write_blocks(const fs::path& folder) {
    const auto types = quant::all_types();
    for (std::size_t t = 0; t < types.size(); ++t) {
        std::string rows(1, static_cast<char>(t));
        const std::size_t n = (types[t].row_meta + 4 * types[t].block_bytes) * types[t].group_rows;
        for (std::size_t i = 0; i < std::min<std::size_t>(n, 1024); ++i)
            rows += static_cast<char>(i * 37 + t);
        write(folder / std::string(types[t].name), rows);
    }
}

void write_sensitivities(const fs::path& folder) {
    write(folder / "two",
          R"({"format": "assay.sensitivity", "version": 1, "units": [)"
          R"({"unit": "0", "type": "q4_0", "tensors": ["blk.0.ffn_up.weight", "blk.0.ffn_down.weight"],)"
          R"( "divergence": 0.012, "divergence_error": 0.001},)"
          R"({"unit": "1", "type": "q5_K", "tensors": ["blk.1.ffn_up.weight"], "divergence": 2e-4,)"
          R"( "divergence_error": 1e-5}]})");
    write(folder / "none", R"({"format": "assay.sensitivity", "version": 1, "units": []})");
}

void write_documents(const fs::path& folder) {
    constexpr const char* kLines[] = {
        R"({"messages": [{"role": "system", "content": "a b"}, {"role": "user", "content": [{"type": "text", "text": "c"}]},)"
        R"( {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1.5}}}]}],)"
        R"( "tools": [{"name": "f"}], "chat_template_kwargs": {"x": true}})",
        R"({"system": "s", "conversations": [{"from": "human", "value": "<s>a</s>"}, {"from": "gpt", "value": "\u00e9"}]})",
        R"({"prompt": "aaaa aaaa", "completion": "b"})",
        R"({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]})",
        "\xEF\xBB\xBF{\"text\": \"aaaaaaaaaa aaaaaaaaaa\"}\r\n\n{\"text\": \"b\\n\"}",
        "{\"text\": \"cut",
        "{\"text\": NaN}",
        "{\"text\": \"\xFF\"}",
        "[[[[[[[[]]]]]]]]",
        "first\n\nsecond aaaa\n\n"};
    for (std::size_t i = 0; i < std::size(kLines); ++i)
        for (int choice = 0; choice < 4; ++choice)
            write(folder / fmt::format("{}-{}", choice, i),
                  std::string(1, static_cast<char>(choice)) + kLines[i]);
}

void write_texts(const fs::path& folder) {
    constexpr const char* kTexts[] = {
        "A word, it's 12345 <0x0A><|a|>\n\n\t end  ",
        "\xE2\x96\x81na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xF0\x9F\x98\x80",
        "\xFF\xC0\xAF\xED\xA0\x80 \xEF\xBB\xBF", "ACGTACGTNNN <dna>ACGT</dna>"};
    for (int tokenizer = 0; tokenizer < 64; tokenizer += 4)
        for (std::size_t i = 0; i < std::size(kTexts); ++i)
            write(folder / fmt::format("{}-{}", tokenizer, i),
                  std::string{static_cast<char>(tokenizer), static_cast<char>(i)} + kTexts[i]);
}

/// A sealed file without its checksum.
void unseal(const fs::path& path) {
    const std::string all = read_file(path);
    write(path, std::string_view(all).substr(0, all.size() - sizeof(std::uint64_t)));
}

calibrate::CollectorState some_sums() {
    calibrate::CollectorState sums;
    imatrix::Matrix& matrix = sums.committed.matrix;
    matrix.chunk_size = 64;
    matrix.datasets = {"a.txt"};
    matrix.entries["dense"] = {2, {1, 2}, {3, 4}, {5}};
    matrix.entries["experts"] = {1, {1, 2}, {}, {3, 0}};
    matrix.n_layer_nextn = 1;
    sums.committed.matrix.entries["wide"] = {2, {1, 2}, {3, 4}, {5}, {0x1p-60F, 0}, {0, -0x1p-60F}};
    sums.committed.chunk_losses = {{1.5, 2.5, 3}};
    sums.committed.nextn_losses = {{{7.5, 8.5, 3}}};
    sums.committed.skipped = {2};
    sums.committed.similarity.add(similarity::Kind::Layer, 1, {0.1, 0.2, 7});
    sums.touched = {{{"dense"}, {2, {6, 7}, {8, 9}, {10}}}};
    return sums;
}

/// Between waves, within one, and the record of a run that has ended.
void write_checkpoints(const fs::path& folder) {
    const std::string head = read_file(kGolden / "archs" / "mamba2-dense.head.gguf");
    const MemoryFile model(std::as_bytes(std::span(head)), std::size_t{16} << 20);
    const gguf::File file = gguf::File::open(model.path());
    constexpr std::int64_t kContext = 16;
    const model::Program program = model::build(file, {kContext});
    ThreadPool pool(1);
    const auto cpu = backend::open({"cpu", backend::Precision::F32, {}, kContext}, pool);
    const plan::PassPlan plan(file, program, *cpu, {.n_ctx = kContext, .observed_output = {}});
    const calibrate::Identity identity{{"the model", "1"}, {"--ctx-size", "16"}};
    const calibrate::CollectorState sums = some_sums();
    fs::create_directories(folder);
    calibrate::begin_state(folder / "between", {{3, {5, 0, 0}, 11}, identity, sums, plan})->commit();
    const auto stage = static_cast<std::int64_t>(plan.stages().size()) - 1;
    const auto zeros = [&](std::int32_t slot, const auto& out) {
        const plan::Slot& shape = plan.slots()[static_cast<std::size_t>(slot)];
        out(std::vector<std::byte>(static_cast<std::size_t>(kContext * shape.cols * size_of(shape.type))));
    };
    const engine::WavePart part{{5, 1}, kContext, zeros};
    calibrate::begin_state(folder / "within", {{4, {5, 1, stage}, 0}, identity, sums, plan, {&part, 1}})
        ->commit();
    calibrate::write_record(folder / "record", {identity, 17, 5});
    for (const char* name : {"between", "within", "record"}) unseal(folder / name);
}

void write_command_lines(const fs::path& folder) {
    constexpr const char* kLines[] = {
        "-m\nmodel.gguf\n-f\ntext.txt\n-c\n1024\n--chunks\n200\n-ofreq\n20\n-o\nimatrix.gguf\n--process-"
        "output",
        "--in-file\n\"a,b.gguf\",c.gguf\n--output-format\ndat\n-o\nall.dat",
        "-m\nm.gguf\n-p\na\\nb\\x41\n-e\n-okv\nllama.block_count=int:3,a.b=float:1.5,c=bool:true,d=str:x",
        "--device\ncuda:1,cuda:0\n-mg\n1\n-sm\nlayer\n--precision\nbf16\n--isa\navx2\n--memory\n24g\n--"
        "wave\n8",
        "model.gguf\n--program\n--layer\n2\n--json",
        "a.gguf\nb.gguf\n-o\npage.html\n--target-bpw\n4.5",
        "-m\nm.gguf\n--target-size\n4g\n--keep\nffn_.*=q6_K\n--types\nq4_K,q5_K\n--sensitivity\na.json,b."
        "json",
        "-m\nm.gguf\n-f\nt\n--type\nq4_0,q5_0\n--by\nkind\n--imatrix\nm.gguf",
        "--help"};
    for (std::size_t command = 0; command < 9; ++command)
        for (std::size_t i = 0; i < std::size(kLines); ++i)
            write(folder / fmt::format("{}-{}", command, i),
                  std::string(1, static_cast<char>(command)) + kLines[i]);
}

}  // namespace
}  // namespace assay::fuzz

int main(int argc, char** argv) try {
    using namespace assay::fuzz;
    if (argc != 2) throw std::runtime_error("usage: make_corpus FOLDER");
    const std::filesystem::path folder = argv[1];
    write_models(folder / "model");
    write_matrices(folder / "matrix");
    write_vocabularies(folder / "vocabulary");
    write_blocks(folder / "blocks");
    write_sensitivities(folder / "sensitivity");
    write_documents(folder / "documents");
    write_texts(folder / "text");
    write_checkpoints(folder / "checkpoint");
    write_command_lines(folder / "command_line");
} catch (const std::exception& error) {
    fmt::print(stderr, "make_corpus: {}\n", error.what());
    return 1;
}
