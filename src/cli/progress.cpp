#include "cli/progress.h"

#include <cstdlib>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/output.h"

namespace assay::cli {

namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainSeconds = 60;
constexpr double kLeastSeconds = 1;  ///< before a remaining time is shown
constexpr double kLeastWork = 0.002;
constexpr const char* kEraseLine = "\r\033[K";

}  // namespace

std::string progress_text(const calibrate::Progress& progress, std::int64_t n_chunks) {
    const std::int64_t first = progress.chunks_done + 1,
                       last = progress.chunks_done + progress.chunks_in_wave;
    const std::string chunks =
        first >= last ? fmt::format("chunk {}", last) : fmt::format("chunks {}-{}", first, last);
    std::string text =
        fmt::format("{:5.1f}%  {} of {}, layer {} of {}, {:.0f} tokens/s", 100 * progress.work_done, chunks,
                    n_chunks, progress.layers_done, progress.n_layers, progress.tokens_per_second);
    if (progress.elapsed_seconds >= kLeastSeconds && progress.work_done >= kLeastWork) {
        const double left = progress.elapsed_seconds * (1 - progress.work_done) / progress.work_done;
        text += fmt::format(", {} left", time_text(left));
    }
    return text;
}

ProgressLine::Terminals ProgressLine::Terminals::detect() {
    const char* kind = std::getenv("TERM");
    const bool redraws = kind != nullptr && std::string_view(kind) != "dumb";
    struct winsize size {};
    const bool sized = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return {isatty(STDERR_FILENO) == 1, isatty(STDOUT_FILENO) == 1,
            !redraws ? 0
            : sized  ? size.ws_col
                     : Terminals().columns};
}

std::string ProgressLine::update(const calibrate::Progress& progress, std::int64_t n_chunks) {
    const double since = progress.elapsed_seconds - last_seconds_;
    const bool redraws = terminals_.stderr_is_terminal && terminals_.columns > 0;
    if (!enabled_ || since < (redraws ? kRedrawSeconds : kPlainSeconds)) return {};
    last_seconds_ = progress.elapsed_seconds;
    const std::string text = progress_text(progress, n_chunks);
    const std::string begin = drawn_ ? "" : begin_message();
    if (!redraws) return begin + text + "\n";
    drawn_ = true;
    return begin + kEraseLine + text.substr(0, static_cast<std::size_t>(terminals_.columns - 1));
}

std::string ProgressLine::erase() {
    if (!drawn_) return {};
    drawn_ = false;
    return kEraseLine;
}

std::string ProgressLine::begin_message() {
    if (drawn_) return erase();
    if (!stdout_open_ || !terminals_.stderr_is_terminal) return {};
    stdout_open_ = false;
    return "\n";
}

}  // namespace assay::cli
