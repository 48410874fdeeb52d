#include "calibrate/devices.h"

#include <algorithm>

#include "engine/delivery.h"
#include "engine/sink_order.h"

namespace assay::calibrate {

namespace {

constexpr std::int64_t kDefaultResidentChunks = 10;
/// Waves on a device bring the weights again. So many tokens take several times as long to compute as the
/// weights take to arrive, and seconds, not minutes, lie between two saves.
constexpr std::int64_t kDeviceWaveTokens = std::int64_t{1} << 17;
/// Left to the system and to page cache when no bound was given.
constexpr double kShareOfFree = 0.8;

/// Adding is bound by memory from about so many on.
constexpr int kMostAddingThreads = 12;

std::int64_t divide_up(std::int64_t n, std::int64_t parts) { return (n + parts - 1) / parts; }

WavePlan plan_for(const Options& options, const MemoryNeeds& needs, const MemoryBounds& bounds,
                  std::int64_t n_chunks, std::int64_t resident_chunks, std::int64_t wave_chunks) {
    const WavePlan plan = plan_waves(needs, bounds, n_chunks, resident_chunks);
    return options.wave_chunks > 0 ? plan_fixed_waves(needs, bounds, wave_chunks) : plan;
}

}  // namespace

Devices::Devices(const Options& options) {
    const std::vector<std::string> names = backend::list_devices(options.device, options.main_device);
    const int threads = options.n_threads > 0 ? options.n_threads : available_processors();
    for (const std::string& name : names) {
        pools_.push_back(std::make_unique<ThreadPool>(std::max(1, threads / static_cast<int>(names.size()))));
        backends_.push_back(options.open_backend(
            {name, options.precision, options.isa, options.n_ctx, options.device_memory_bytes},
            *pools_.back()));
    }
}

int Devices::adding_threads() const {
    int idle = 0;
    for (std::size_t i = 0; i < size(); ++i)
        if (backends_[i]->room_bytes()) idle += pools_[i]->size();
    return std::clamp(idle, 1, kMostAddingThreads);
}

std::vector<backend::Backend*> Devices::backends() const {
    std::vector<backend::Backend*> all;
    for (const auto& backend : backends_) all.push_back(backend.get());
    return all;
}

WavePlan plan_team(const Options& options, const Devices& devices, const engine::Team& team,
                   std::uint64_t file_bytes, std::int64_t n_chunks) {
    const auto n = static_cast<std::int64_t>(devices.size());
    std::uint64_t host = options.memory_bytes;
    if (host == 0) host = static_cast<std::uint64_t>(static_cast<double>(available_memory()) * kShareOfFree);
    const std::int64_t resident = options.save_every > 0 ? options.save_every : kDefaultResidentChunks;
    const std::vector<backend::Backend*> backends = devices.backends();

    const std::uint64_t waiting = n > 1 ? engine::SinkOrder::kMostBytesHeld : 0;
    MemoryNeeds together{file_bytes, 0, 0, 0, waiting};
    WavePlan least;
    for (std::size_t i = 0; i < team.size(); ++i) {
        const engine::Pass& pass = team.member(i);
        const MemoryNeeds needs{
            file_bytes, pass.weight_bytes(), pass.workspace_bytes(), pass.bytes_per_chunk(),
            waiting + static_cast<std::uint64_t>(n) * engine::Delivery::kMostBytesUnderWay};
        together.weight_bytes += needs.weight_bytes;
        together.workspace_bytes += needs.workspace_bytes;
        together.bytes_per_chunk = std::max(together.bytes_per_chunk, needs.bytes_per_chunk);
        const std::optional<std::uint64_t> room = backends[i]->room_bytes();
        if (!room) continue;
        const WavePlan plan = plan_for(options, needs, {host, room}, divide_up(n_chunks, n),
                                       std::max(resident, kDeviceWaveTokens / options.n_ctx),
                                       divide_up(options.wave_chunks, n));
        if (least.device_bytes == 0 || plan.wave_chunks < least.wave_chunks) least = plan;
    }
    if (least.device_bytes == 0)
        return plan_for(options, together, {host, {}}, n_chunks, resident, options.wave_chunks);
    if (options.wave_chunks > 0)
        least.wave_chunks = options.wave_chunks;
    else
        least.wave_chunks = std::min(least.wave_chunks * n, std::max<std::int64_t>(1, n_chunks));
    return least;
}

}  // namespace assay::calibrate
