#include "calibrate/memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "core/control_group.h"
#include "core/error.h"

namespace assay::calibrate {

namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
/// Program, libraries, tokens.
constexpr std::uint64_t kBaseBytes = std::uint64_t{48} << 20;
/// A group's limit is for this process; the system's memory is for others too, and for page cache.
constexpr double kShareOfSystem = 0.8;
constexpr double kShareOfGroup = 0.9;
/// Waves of fewer chunks go through the weights so often that reading these again, for long waves, costs
/// less.
constexpr std::int64_t kFewChunks = 10;

std::uint64_t share(std::uint64_t bytes, double part) {
    return static_cast<std::uint64_t>(static_cast<double>(bytes) * part);
}

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? std::optional(value) : std::nullopt;
}

/// What a group uses and could give back: pages of files.
std::uint64_t reclaimable(const std::filesystem::path& folder, const std::string& prefix) {
    std::ifstream file(folder / "memory.stat");
    std::uint64_t total = 0;
    std::uint64_t value = 0;
    for (std::string key; file >> key >> value;)
        if (key == prefix + "inactive_file" || key == prefix + "active_file") total += value;
    return total;
}

/// Names of a control group version's files.
struct GroupFiles {
    std::string controller;  ///< empty: version 2
    std::string limit;
    std::string use;
    std::string stat_prefix;  ///< of the sums over a group and those below it
};

/// The least of limit - use over the group and those above it; kUnlimited where nothing is limited.
std::uint64_t group_room(const GroupFiles& files) {
    std::uint64_t room = kUnlimited;
    for (const auto& folder : control_group_folders(files.controller)) {
        const auto bound = read_number(folder / files.limit);
        if (!bound || *bound >= (std::uint64_t{1} << 60)) continue;
        const std::uint64_t used = read_number(folder / files.use).value_or(0);
        const std::uint64_t kept = used - std::min(used, reclaimable(folder, files.stat_prefix));
        room = std::min(room, *bound > kept ? *bound - kept : 0);
    }
    return room;
}

std::uint64_t system_available() {
    std::ifstream file("/proc/meminfo");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
    return kUnlimited;
}

/// How stored weights are at hand: the whole file in memory where it fits beside `other_bytes`, or where a
/// stream would take no less; else the stages of a stream.
struct StoredWeights {
    bool streamed = false;
    std::uint64_t bytes = 0;
};

StoredWeights stored_weights(const MemoryNeeds& needs, std::uint64_t bound_bytes, std::uint64_t other_bytes) {
    const bool fits = bound_bytes >= other_bytes + needs.file_bytes;
    if (fits || needs.stream_bytes >= needs.file_bytes) return {false, needs.file_bytes};
    return {true, needs.stream_bytes};
}

}  // namespace

std::uint64_t default_memory_bound() {
    const std::uint64_t groups =
        std::min(group_room({"", "memory.max", "memory.current", ""}),
                 group_room({"memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"}));
    return std::min(share(system_available(), kShareOfSystem), share(groups, kShareOfGroup));
}

WavePlan plan_waves(const MemoryNeeds& needs, const MemoryBounds& bounds, const WaveRules& rules) {
    const bool on_device = bounds.device_bytes.has_value();
    const std::uint64_t computing = needs.weight_bytes + needs.workspace_bytes;
    std::uint64_t host = kBaseBytes + needs.host_bytes + (on_device ? 0 : computing);
    const std::int64_t n_chunks = std::max<std::int64_t>(1, rules.n_chunks);
    const std::int64_t longest = std::min(n_chunks, std::max<std::int64_t>(1, rules.resident_chunks));
    const std::int64_t usual = rules.wave_chunks > 0 ? std::min(n_chunks, rules.wave_chunks) : longest;
    const auto states = [&](std::int64_t chunks) {
        return static_cast<std::uint64_t>(chunks) * needs.bytes_per_chunk;
    };
    WavePlan plan;
    const StoredWeights stored = stored_weights(needs, bounds.host_bytes,
                                                host + (on_device ? 0 : states(std::min(usual, kFewChunks))));
    plan.streamed = stored.streamed;
    host += stored.bytes;

    // Where the states are: on the device when there is one.
    const std::uint64_t bound = bounds.device_bytes.value_or(bounds.host_bytes);
    std::uint64_t fixed = on_device ? computing : host;
    if (const std::uint64_t all = needs.all_weight_bytes + needs.workspace_bytes;
        on_device && all + states(usual) <= bound) {
        plan.weights_kept = true;
        fixed = all;
    }
    if (rules.wave_chunks == 0 && bound < fixed + needs.bytes_per_chunk)
        throw_error(ErrorKind::Usage, on_device ? "--device-memory" : "--memory",
                    "{} MiB are too few: the largest weights, the sums and one chunk need {} MiB{}",
                    bound >> 20, (fixed + needs.bytes_per_chunk) >> 20,
                    on_device ? "; --device cpu needs none" : "");
    plan.wave_chunks = rules.wave_chunks;
    if (plan.wave_chunks == 0) {
        const auto fitting = static_cast<std::int64_t>(
            std::min<std::uint64_t>((bound - fixed) / needs.bytes_per_chunk, std::uint64_t{1} << 40));
        const bool read_once = !plan.streamed || plan.weights_kept;
        plan.wave_chunks = std::clamp<std::int64_t>(fitting, 1, read_once ? longest : n_chunks);
    }
    (on_device ? plan.device_bytes : host) = fixed + states(plan.wave_chunks);
    plan.host_bytes = host;
    if (plan.streamed && rules.may_spill && plan.wave_chunks < n_chunks) {
        plan.wave_chunks = n_chunks;
        plan.spilled_bytes = states(n_chunks);
    }
    return plan;
}

std::uint64_t memory_bound(std::uint64_t asked_bytes) {
    return asked_bytes != 0 ? asked_bytes : default_memory_bound();
}

SweepPlan plan_sweeps(const MemoryNeeds& needs, const MemoryBounds& bounds, std::int64_t n_chunks,
                      std::int64_t n_variants) {
    const bool on_device = bounds.device_bytes.has_value();
    const std::uint64_t computing = needs.weight_bytes + needs.workspace_bytes;
    const std::uint64_t least = 2 * needs.bytes_per_chunk;
    const StoredWeights stored =
        stored_weights(needs, bounds.host_bytes, kBaseBytes + (on_device ? 0 : computing + least));
    // Where the states are: on the device when there is one.
    const std::uint64_t bound = bounds.device_bytes.value_or(bounds.host_bytes);
    const auto fixed_with = [&](const StoredWeights& weights) {
        return computing + (on_device ? 0 : kBaseBytes + weights.bytes);
    };
    if (bound < fixed_with(stored) + least)
        throw_error(ErrorKind::Usage, on_device ? "--device" : "--memory",
                    "{} MiB are too few: the weights of two layers and one chunk of the model and of one "
                    "variant need {} MiB",
                    bound >> 20, (fixed_with(stored) + least) >> 20);
    const auto chunks_in = [&](std::uint64_t bytes) {
        return static_cast<std::int64_t>(
            std::min<std::uint64_t>(bytes / needs.bytes_per_chunk, std::uint64_t{1} << 40));
    };
    const auto sweeps_with = [&](std::int64_t rooms) {
        SweepPlan plan;
        plan.variants = std::min(n_variants, rooms - 1);
        plan.wave_chunks =
            std::clamp<std::int64_t>(rooms / (1 + plan.variants), 1, std::max<std::int64_t>(1, n_chunks));
        const auto times = [](std::int64_t all, std::int64_t each) { return (all + each - 1) / each; };
        plan.n_sweeps = times(n_chunks, plan.wave_chunks) * times(n_variants, plan.variants);
        return plan;
    };
    const auto plan_with = [&](const StoredWeights& weights) {
        const std::uint64_t fixed = fixed_with(weights);
        SweepPlan plan = sweeps_with(chunks_in(bound - fixed));
        plan.streamed = weights.streamed;
        plan.host_bytes = kBaseBytes + weights.bytes;
        (on_device ? plan.device_bytes : plan.host_bytes) =
            fixed +
            static_cast<std::uint64_t>(plan.wave_chunks * (1 + plan.variants)) * needs.bytes_per_chunk;
        return plan;
    };
    const SweepPlan plan = plan_with(stored);
    if (on_device || plan.streamed || needs.stream_bytes >= needs.file_bytes) return plan;
    // A file that fits stays in memory as long as that costs no sweep.
    const SweepPlan streamed = plan_with({true, needs.stream_bytes});
    return streamed.n_sweeps < plan.n_sweeps ? streamed : plan;
}

}  // namespace assay::calibrate
