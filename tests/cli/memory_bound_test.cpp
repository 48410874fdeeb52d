// What a run takes of the system's memory, by the system's own account.
#include <algorithm>
#include <cstddef>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "backend/cuda_backend.h"
#include "core/file.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"

namespace assay::cli {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kShadowed = true;  // a sanitizer's memory is not the program's
#else
constexpr bool kShadowed = false;
#endif

constexpr std::int64_t kHidden = 1024, kFfn = 256, kExperts = 64, kLayers = 5, kHead = 64, kVocab = 512;

/// Weights of 0, for which no disk is used: a router that cannot tell experts apart sends all tokens to the
/// first.
void add_zeros(gguf::Writer& writer, const std::string& name, std::vector<std::uint64_t> ne,
               quant::TypeId type) {
    std::uint64_t size = quant::row_bytes(quant::type_info(type), ne.front());
    for (std::size_t i = 1; i < ne.size(); ++i) size *= ne[i];
    writer.add_tensor(name, std::move(ne), type, [size](const gguf::Writer::Out& out) {
        static const std::vector<std::byte> zeros(std::size_t{1} << 20);
        for (std::uint64_t left = size; left > 0;) {
            const auto some = std::min<std::uint64_t>(left, zeros.size());
            out(std::span(zeros).first(some));
            left -= some;
        }
    });
}

/// A qwen3moe of one expert for each token, with the tokenizer of the fixture. About 270 MB, almost none of
/// them on disk.
void write_model(const std::filesystem::path& path) {
    const std::string head =
        read_file(std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs/qwen3moe-moe.head.gguf");
    std::vector<std::byte> bytes(std::size_t{32} << 20);
    std::ranges::copy(std::as_bytes(std::span(head)), bytes.begin());
    gguf::Metadata keys = gguf::parse_header(bytes, "head").metadata;
    const auto set = [&](const std::string& key, std::int64_t value) {
        keys.set("qwen3moe." + key, gguf::u32(static_cast<std::uint32_t>(value)));
    };
    set("embedding_length", kHidden);
    set("feed_forward_length", kFfn);
    set("expert_feed_forward_length", kFfn);
    set("expert_count", kExperts);
    set("expert_used_count", 1);
    set("block_count", kLayers);
    set("context_length", 1024);
    gguf::Writer writer;
    for (const auto& [key, value] : keys.values()) writer.add(key, value);
    const auto f32 = [&](const std::string& name, std::vector<std::uint64_t> ne) {
        add_zeros(writer, name, std::move(ne), quant::TypeId::F32);
    };
    const auto q8 = [&](const std::string& name, std::vector<std::uint64_t> ne) {
        add_zeros(writer, name, std::move(ne), quant::TypeId::Q8_0);
    };
    q8("token_embd.weight", {kHidden, kVocab});
    q8("output.weight", {kHidden, kVocab});
    f32("output_norm.weight", {kHidden});
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
        const std::string block = fmt::format("blk.{}.", layer);
        for (const char* norm : {"attn_norm.weight", "ffn_norm.weight"}) f32(block + norm, {kHidden});
        for (const char* norm : {"attn_q_norm.weight", "attn_k_norm.weight"}) f32(block + norm, {kHead});
        q8(block + "attn_q.weight", {kHidden, 4 * kHead});
        q8(block + "attn_k.weight", {kHidden, 2 * kHead});
        q8(block + "attn_v.weight", {kHidden, 2 * kHead});
        q8(block + "attn_output.weight", {4 * kHead, kHidden});
        f32(block + "ffn_gate_inp.weight", {kHidden, kExperts});
        q8(block + "ffn_gate_exps.weight", {kHidden, kFfn, kExperts});
        q8(block + "ffn_up_exps.weight", {kHidden, kFfn, kExperts});
        q8(block + "ffn_down_exps.weight", {kFfn, kHidden, kExperts});
    }
    std::ofstream file(path, std::ios::binary);
    writer.write([&](std::span<const std::byte> piece) {
        if (std::ranges::all_of(piece, [](std::byte byte) { return byte == std::byte{}; }))
            file.seekp(static_cast<std::streamoff>(piece.size()), std::ios::cur);
        else
            file.write(reinterpret_cast<const char*>(piece.data()), std::ssize(piece));
    });
    file.close();
    std::filesystem::resize_file(path, writer.size_bytes());
}

/// Runs the program; what it says goes to a file. Its most resident bytes, or nothing where it failed.
std::uint64_t peak_bytes(const std::string& line, const std::filesystem::path& says) {
    std::vector<std::string> arguments{ASSAY_PROGRAM};
    std::istringstream words(line);
    for (std::string word; words >> word;) arguments.push_back(word);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const int out = ::open(says.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(out, STDERR_FILENO);
        ::execv(argv.front(), argv.data());
        ::_exit(127);
    }
    int status = -1;
    struct rusage usage {};
    if (::wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return 0;
    return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

TEST(MemoryBound, AStreamedRunStaysWithinItWhereAllTokensChooseOneExpert) {
    if (kShadowed) GTEST_SKIP();
    // Its libraries' own pages are resident too, and no part of the plan.
    if (backend::cuda_built()) GTEST_SKIP() << "built with CUDA";
    const test::TempDir folder;
    const std::filesystem::path model = folder / "model.gguf", text = folder / "text", says = folder / "says";
    write_model(model);
    std::ofstream(text) << std::string(20000, 'x');
    constexpr std::uint64_t kBoundMiB = 500;
    const std::string line = fmt::format(
        "-m {} -f {} -o {} -c 1024 --chunks 19 --memory {}m --device cpu --precision bf16 -t 2 --no-ppl "
        "--verbose --checkpoint-interval 1",
        model.string(), text.string(), (folder / "m.gguf").string(), kBoundMiB);
    const std::uint64_t peak = peak_bytes(line, says);
    const std::string said = read_file(says);
    ASSERT_GT(peak, 0u) << said;
    EXPECT_NE(said.find("streamed from disk"), std::string::npos) << said;
    EXPECT_LE(peak >> 20, kBoundMiB) << said;
}

}  // namespace
}  // namespace assay::cli
