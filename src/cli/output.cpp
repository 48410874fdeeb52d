#include "cli/output.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

namespace assay::cli {

void print(std::string_view text) {
    const std::string shown = printable(text, "\n\t");
    errno = 0;
    if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size() || std::fflush(stdout) != 0)
        throw_error(ErrorKind::Io, "standard output", "writing failed: {}", std::strerror(errno));
}

void say(std::string_view line) {
    const std::string shown = printable(line) + '\n';
    std::fwrite(shown.data(), 1, shown.size(), stderr);
}

std::string size_text(double bytes) {
    constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 2, kUnits[unit]);
}

std::string time_text(double seconds) {
    const auto whole = static_cast<long long>(std::lround(std::max(0.0, std::min(seconds, 1e12))));
    const long long hours = whole / 3600, minutes = whole / 60 % 60;
    if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
    return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace assay::cli
