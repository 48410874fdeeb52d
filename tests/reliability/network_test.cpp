// The whole program on ranks that see one another over a slow network and nothing else: the same bytes as one
// process, and what goes over the wire is what docs/cluster.md says. Skipped with a reason where the system
// makes no such network, and where mpirun or the module for MPI is not there.
#include <algorithm>
#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <numeric>
#include <regex>

#include "cli/shell.h"
#include "core/file.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "imatrix/file.h"
#include "reliability/run.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr int kNotPermitted = 77;
constexpr double kMegabitsPerSecond = 50;

struct Traffic {
    double sent = 0, received = 0;  ///< bytes of Ethernet frames
};

/// Of each node, from what slow_network tells.
std::vector<Traffic> traffic_of(const std::string& told) {
    const std::regex line("node\\d+ sent (\\d+) bytes and received (\\d+)");
    std::vector<Traffic> all;
    for (auto it = std::sregex_iterator(told.begin(), told.end(), line); it != std::sregex_iterator(); ++it)
        all.push_back({std::stod((*it)[1]), std::stod((*it)[2])});
    return all;
}

/// Bytes of the sums that a rank sends, by those of an exact file: of each input once, 8 for each and 4 for
/// what f64 has lost of the squares or values of an input.
double sent_bytes(const fs::path& matrix) {
    imatrix::Notes notes;
    std::vector<imatrix::Entry> inputs;
    for (auto& [weight, entry] : imatrix::load(matrix, {}, notes).entries)
        if (std::ranges::find(inputs, entry) == inputs.end()) inputs.push_back(entry);
    std::size_t bytes = 0;
    for (const imatrix::Entry& input : inputs)
        bytes += 8 * (input.sum_sq.size() + input.sum.size()) +
                 4 * (input.sum_sq_low.size() + input.sum_low.size());
    return static_cast<double>(bytes);
}

/// A model with more sums than weights would let expect: many experts, each a few columns wide inside.
void write_model_of_many_columns(const fs::path& to) {
    constexpr int kExperts = 128, kWidth = 32;
    const test::Fixture fixture("qwen3moe-moe");
    const std::string bytes = read_file(fixture.model());
    gguf::Header header = gguf::parse_header(std::as_bytes(std::span(bytes)), fixture.model().string());
    header.metadata.set("qwen3moe.expert_count", gguf::u32(kExperts));
    header.metadata.set("qwen3moe.expert_feed_forward_length", gguf::u32(kWidth));
    gguf::Writer writer;
    for (const auto& [key, value] : header.metadata.values()) writer.add(key, value);
    for (const gguf::Tensor& tensor : header.tensors) {
        std::vector<std::uint64_t> ne(tensor.ne.begin(), tensor.ne.begin() + tensor.n_dims);
        if (tensor.name.ends_with("_exps.weight")) {
            ne[tensor.name.find("_down_") != tensor.name.npos ? 0 : 1] = kWidth;
            ne[2] = kExperts;
        } else if (tensor.name.ends_with("gate_inp.weight")) {
            ne[1] = kExperts;
        }
        const std::size_t n_bytes =
            std::accumulate(ne.begin(), ne.end(), sizeof(float), std::multiplies<std::size_t>());
        writer.add_tensor(tensor.name, ne, tensor.type->id,
                          [n_bytes](const gguf::Writer::Out& out) { out(std::vector<std::byte>(n_bytes)); });
    }
    write_file_atomically(to, writer.bytes());
    write_file_atomically(to, test::fill_model(to, writer.size_bytes(), 0));
}

class NetworkTest : public testing::Test {
  protected:
    /// What the kernel or the user's rights do not give ends the test.
    void SetUp() override {
        if (!has_mpi()) GTEST_SKIP() << "mpirun or the module for MPI is not there";
        const cli::Outcome outcome = cli::shell(folder_, on_network(2) + "true");
        if (outcome.code == kNotPermitted) GTEST_SKIP() << outcome.err;
        ASSERT_EQ(outcome.code, 0) << outcome.err;
    }
    static std::string on_network(int nodes, double delay_ms = 5) {
        return fmt::format("{} {} {} {} ", ASSAY_SLOW_NETWORK, nodes, kMegabitsPerSecond, delay_ms);
    }
    /// One rank on each node.
    static std::string mpirun(int ranks) {
        std::string hosts;
        for (int rank = 1; rank <= ranks; ++rank)
            hosts += fmt::format("{}10.0.0.{}", rank > 1 ? "," : "", rank);
        return fmt::format(
            "{} timeout -k 1 120 mpirun --allow-run-as-root --bind-to none --mca plm rsh --mca plm_rsh_agent "
            "/run/on "
            "--mca btl tcp,self --host {} -n {} ",
            on_network(ranks), hosts, ranks);
    }
    std::string command(const std::string& output, const std::string& options) {
        std::string text;
        const std::string once = read_file(fs::path(ASSAY_GOLDEN_DIR) / "archs/text.txt");
        for (int i = 0; i < 16; ++i) text += once;
        write_file_atomically(folder_ / "text.txt", std::as_bytes(std::span(text)));
        return fmt::format("$ASSAY -f text.txt --device cpu --precision f32 -t 1 --no-checkpoint -o {} {}",
                           output, options);
    }
    std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
    /// Ethernet's, IP's and TCP's headers are 66 bytes in 1,514, acknowledgements 66 for every one or two of
    /// these. Before the first message MPI, and the ranks, find one another, and on a busy machine a run is
    /// long enough for signs of life to count.
    static void expect_near_model(double moved, double model, int ranks) {
        constexpr double kStartBytes = 12e3;
        std::printf("[ traffic  ] %d: %.0f bytes, by the model %.0f, %.1f %% more\n", ranks, moved, model,
                    100 * (moved / model - 1));
        EXPECT_GE(moved, 0.9 * model);
        EXPECT_LE(moved, 1.1 * model + kStartBytes * ranks);
    }
    cli::Outcome run(const std::string& line) {
        const cli::Outcome outcome = cli::shell(folder_, line);
        EXPECT_EQ(outcome.code, 0) << line << '\n' << outcome.err;
        return outcome;
    }

    test::TempDir folder_;
};

TEST_F(NetworkTest, IsSlow) {
    constexpr double kDelayMs = 100;
    const auto start = std::chrono::steady_clock::now();
    // Nobody listens there, so an answer comes at once.
    const cli::Outcome outcome =
        cli::shell(folder_, on_network(2, kDelayMs) + "bash -c 'echo > /dev/tcp/10.0.0.2/9'");
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    EXPECT_NE(outcome.err.find("refused"), std::string::npos) << outcome.err;
    EXPECT_GE(took.count(), 4 * kDelayMs)
        << "there and back, to ask for the hardware's address and to connect";
}

TEST_F(NetworkTest, RanksGiveTheBytesOfOneProcessAndSendTheSumsOfEachRound) {
    constexpr double kTokens = 64 * 128, kRounds = 2;
    write_model_of_many_columns(folder_ / "model.gguf");
    const std::string options = "-m model.gguf -c 128 --chunks 64 --save-frequency 32";
    const cli::Outcome alone = run(command("alone.gguf", options));
    run(command("exact.gguf", options + " --output-format exact"));
    const double sums = kRounds * sent_bytes(folder_ / "exact.gguf");
    for (const int ranks : {2, 4}) {
        const auto start = std::chrono::steady_clock::now();
        const cli::Outcome together = run(mpirun(ranks) + command("ranks.gguf", options));
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        EXPECT_EQ(together.out, alone.out) << ranks;
        for (const char* copy : {"", ".at_32"})
            EXPECT_TRUE(bytes(std::string("ranks.gguf") + copy) == bytes(std::string("alone.gguf") + copy))
                << ranks << copy;
        const std::vector<Traffic> traffic = traffic_of(together.err);
        ASSERT_EQ(std::ssize(traffic), ranks) << together.err;
        double sent = 0;
        for (const Traffic& node : traffic) sent += node.sent;
        expect_near_model(sent, (ranks - 1) * (sums + 8 * kTokens), ranks);
        EXPECT_GE(took.count(), 8 * traffic[0].received / (kMegabitsPerSecond * 1e6)) << "that is its line";
    }
}

TEST_F(NetworkTest, RanksGetTheTokensOnce) {
    constexpr double kTokens = 128 * 128;
    const test::Fixture fixture("mamba2-dense");  // few columns
    run(mpirun(2) +
        command("ranks.gguf", fmt::format("-m {} -c 128 --chunks 128 --no-ppl", fixture.model().string())));
    const std::vector<Traffic> traffic = traffic_of(cli::text_of(folder_ / "stderr"));
    ASSERT_EQ(traffic.size(), 2);
    expect_near_model(traffic[1].received, 8 * kTokens, 1);
}

}  // namespace
}  // namespace assay
