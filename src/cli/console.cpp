#include "cli/console.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

volatile std::sig_atomic_t signals_seen = 0;  // the one global: a signal handler can reach nothing else

void on_signal(int number) {
    signals_seen = signals_seen + 1;
    if (signals_seen > 1) {
        std::signal(number, SIG_DFL);
        std::raise(number);
    }
}

constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kPlainLine = std::chrono::seconds(30);

std::string duration(double seconds) {
    const auto total = static_cast<std::int64_t>(seconds + 0.5);
    if (total >= 3600) return fmt::format("{}h{:02}m", total / 3600, total / 60 % 60);
    return fmt::format("{}m{:02}s", total / 60, total % 60);
}

std::string_view format_name(imatrix::Format format) {
    return format == imatrix::Format::Legacy ? "legacy (.dat) format" : "GGUF format";
}

std::string mebibytes(std::uint64_t bytes) {
    return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

void catch_signals() {
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    std::signal(SIGPIPE, SIG_IGN);  // a closed stdout becomes an error of write()
}

void write_stdout(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw_error(ErrorKind::Io, "standard output", "cannot write: {}", std::strerror(errno));
}

void write_stderr(const std::string& line) { fmt::print(stderr, "{}\n", line); }

Console::Console(int verbosity) : verbosity_(verbosity), terminal_(::isatty(STDERR_FILENO) == 1) {}

void Console::clear() {
    if (!line_shown_) return;
    fmt::print(stderr, "\r\x1b[K");
    line_shown_ = false;
}

void Console::inform(const std::string& line) {
    if (verbosity_ < kInformation) return;
    clear();
    write_stderr(line);
}

void Console::on_note(const std::string& sentence) {
    if (verbosity_ < kWarnings) return;
    clear();
    write_stderr("assay: note: " + sentence);
}

void Console::on_loading(const std::filesystem::path& in_file) {
    inform(fmt::format("main : loading imatrix from '{}'", in_file.string()));
}

void Console::on_tokenizing() { inform("compute_imatrix: tokenizing the input .."); }

void Console::on_tokenized(double milliseconds) {
    inform(fmt::format("compute_imatrix: tokenization took {:g} ms", milliseconds));
}

void Console::on_plan(const calibrate::Plan& plan) {
    inform(fmt::format("assay: {} ({}, {} layers, {}) on {}", plan.model_name, plan.architecture,
                       plan.n_layers, mebibytes(plan.model_bytes), plan.backend));
    const std::int64_t waves =
        (plan.n_chunks + plan.wave_chunks - 1) / std::max<std::int64_t>(1, plan.wave_chunks);
    inform(fmt::format(
        "assay: {} tokens, waves of {} chunks ({}), {} of weights to read and decode, about {} of memory",
        plan.n_tokens, plan.wave_chunks, waves, mebibytes(plan.read_bytes), mebibytes(plan.memory_bytes)));
    if (plan.n_ctx > plan.context_train)
        on_note(fmt::format("model was trained on only {} context tokens ({} specified)", plan.context_train,
                            plan.n_ctx));
    inform(fmt::format("compute_imatrix: computing over {} chunks, n_ctx={}, batch_size={}, n_seq={}",
                       plan.n_chunks, plan.n_ctx, plan.n_ctx * plan.wave_chunks, plan.wave_chunks));
    last_shown_ = Clock::now();
}

void Console::on_progress(const calibrate::Progress& progress) {
    if (verbosity_ < kInformation || progress.work_done <= 0) return;
    const auto now = Clock::now();
    if (now - last_shown_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))) return;
    last_shown_ = now;
    // Work is proportional to layers, so what was slow so far is how slow the rest will be.
    const double left = progress.elapsed_seconds * (1 / progress.work_done - 1);
    const std::string line = fmt::format(
        "assay: chunks {}-{}, layer {}/{}, {:.0f} tokens/s, {:.0f} %, ETA {}", progress.chunks_done + 1,
        progress.chunks_done + progress.chunks_in_wave, progress.layers_done, progress.n_layers,
        progress.tokens_per_second, 100 * progress.work_done, duration(left));
    if (terminal_)
        fmt::print(stderr, "\r\x1b[K{}", line);
    else
        write_stderr(line);
    line_shown_ = terminal_;
}

void Console::on_perplexity(std::int64_t chunk, double running) {
    clear();
    write_stdout(report::chunk_text(static_cast<std::uint64_t>(chunk), running));
}

void Console::on_saved(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks) {
    inform(fmt::format("save_imatrix: stored collected data after {} chunks in {} ({})", chunks,
                       path.string(), format_name(format)));
}

bool Console::stop_requested() const { return signals_seen > 0; }

}  // namespace assay::cli
