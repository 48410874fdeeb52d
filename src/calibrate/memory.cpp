#include "calibrate/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "core/error.h"

namespace assay::calibrate {

namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
/// Program, libraries, tokens, sums.
constexpr std::uint64_t kBaseBytes = std::uint64_t{128} << 20;

std::optional<std::uint64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? std::optional(value) : std::nullopt;
}

/// The path of this process's group for a controller; version 2 has an empty controller list.
std::string group_path(const std::string& controller) {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (controllers == controller) return line.substr(second + 1);
    }
    return "/";
}

/// The least of limit - use over the group and those above it; kUnlimited where nothing is limited.
std::uint64_t group_room(std::string group, const std::string& root, const std::string& limit,
                         const std::string& use) {
    std::uint64_t room = kUnlimited;
    while (true) {
        const std::string folder = root + (group == "/" ? "" : group) + "/";
        const auto bound = read_number(folder + limit);
        if (bound && *bound < (std::uint64_t{1} << 60)) {
            const std::uint64_t used = read_number(folder + use).value_or(0);
            room = std::min(room, *bound > used ? *bound - used : 0);
        }
        if (group == "/" || group.empty()) return room;
        group = group.substr(0, group.rfind('/'));
        if (group.empty()) group = "/";
    }
}

std::uint64_t system_available() {
    std::ifstream file("/proc/meminfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
    return kUnlimited;
}

}  // namespace

std::uint64_t available_memory() {
    return std::min({system_available(),
                     group_room(group_path(""), "/sys/fs/cgroup", "memory.max", "memory.current"),
                     group_room(group_path("memory"), "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                "memory.usage_in_bytes")});
}

WavePlan plan_fixed_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t wave_chunks) {
    const std::uint64_t computing = needs.weight_bytes + needs.workspace_bytes +
                                    needs.bytes_per_chunk * static_cast<std::uint64_t>(wave_chunks);
    WavePlan plan;
    plan.wave_chunks = wave_chunks;
    if (bounds.device_bytes)
        plan.device_bytes = computing;
    else
        plan.host_bytes = computing;
    plan.host_bytes += kBaseBytes + needs.host_bytes;
    plan.streamed =
        plan.host_bytes > bounds.host_bytes || bounds.host_bytes - plan.host_bytes < needs.file_bytes;
    if (!plan.streamed) plan.host_bytes += needs.file_bytes;
    return plan;
}

WavePlan plan_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t n_chunks,
                    std::int64_t resident_chunks) {
    const bool on_device = bounds.device_bytes.has_value();
    const std::uint64_t bound = bounds.device_bytes.value_or(bounds.host_bytes);
    const std::uint64_t fixed =
        (on_device ? 0 : kBaseBytes + needs.host_bytes) + needs.weight_bytes + needs.workspace_bytes;
    if (bound < fixed + needs.bytes_per_chunk)
        throw_error(ErrorKind::Usage, on_device ? "--device-memory" : "--memory",
                    "{} MiB are too few: two layers' weights and one chunk need {} MiB{}", bound >> 20,
                    (fixed + needs.bytes_per_chunk) >> 20, on_device ? "; --device cpu needs none" : "");
    const bool streamed = plan_fixed_waves(needs, bounds, 1).streamed;
    const std::uint64_t file = streamed || on_device ? 0 : needs.file_bytes;
    const auto fitting = static_cast<std::int64_t>(
        std::min<std::uint64_t>((bound - fixed - file) / needs.bytes_per_chunk, std::uint64_t{1} << 40));
    std::int64_t wave = std::clamp<std::int64_t>(fitting, 1, std::max<std::int64_t>(1, n_chunks));
    if (!streamed) wave = std::min(wave, std::max<std::int64_t>(1, resident_chunks));
    return plan_fixed_waves(needs, bounds, wave);
}

}  // namespace assay::calibrate
