#include "calibrate/devices.h"

#include <algorithm>

#include "core/processors.h"

namespace assay::calibrate {

namespace {

/// Waves on a device bring the weights again. So many tokens take several times as long to compute as the
/// weights take to arrive, and seconds, not minutes, lie between two saves.
constexpr std::int64_t kDeviceWaveTokens = std::int64_t{1} << 17;
/// Exact sums of x^2 and of x: an f64 and its low part. A file that is written takes no memory of its own.
constexpr std::uint64_t kBytesPerColumn = 2 * (sizeof(double) + sizeof(float));

std::int64_t divide_up(std::int64_t n, std::int64_t parts) { return (n + parts - 1) / parts; }

MemoryNeeds needs_of(const plan::PassPlan& pass, std::uint64_t file_bytes) {
    MemoryNeeds needs;
    needs.file_bytes = file_bytes;
    needs.weight_bytes = pass.weight_bytes();
    needs.all_weight_bytes = pass.all_weight_bytes();
    needs.workspace_bytes = pass.workspace_bytes();
    needs.bytes_per_chunk = pass.bytes_per_chunk();
    return needs;
}

}  // namespace

std::vector<std::unique_ptr<ThreadPool>> computing_threads(const Options& options,
                                                           const std::vector<std::string>& devices) {
    const int threads = options.n_threads > 0 ? options.n_threads : available_processors();
    const int each = std::max(1, threads / static_cast<int>(devices.size()));
    std::vector<int> places;
    if (devices.front() == "cpu") {
        interleave_memory(allowed_processors());
        places = choose_places(allowed_processors(), each * static_cast<int>(devices.size()));
    }
    std::vector<std::unique_ptr<ThreadPool>> pools;
    for (std::size_t i = 0; i < devices.size(); ++i) {
        const auto first = places.begin() + (places.empty() ? 0 : static_cast<std::ptrdiff_t>(i) * each);
        pools.push_back(std::make_unique<ThreadPool>(
            each, std::vector<int>(first, places.empty() ? first : first + each)));
    }
    return pools;
}

Devices::Devices(const Options& options) {
    const std::vector<std::string> names = backend::list_devices(options.device, options.main_device);
    pools_ = computing_threads(options, names);
    for (std::size_t i = 0; i < names.size(); ++i)
        backends_.push_back(options.open_backend(
            {names[i], options.precision, options.isa, options.n_ctx, options.device_memory_bytes},
            *pools_[i]));
}

std::vector<backend::Backend*> Devices::backends() const {
    std::vector<backend::Backend*> all;
    for (const auto& backend : backends_) all.push_back(backend.get());
    return all;
}

WavePlan plan_team(const Options& options, const Devices& devices, const plan::PassPlan& pass,
                   std::int64_t n_chunks, std::size_t n_sharing) {
    const auto n = static_cast<std::int64_t>(devices.size());
    const std::uint64_t bound = memory_bound(options.memory_bytes);
    const std::vector<backend::Backend*> backends = devices.backends();
    WaveRules rules;
    rules.n_chunks = n_chunks;
    rules.wave_chunks = options.wave_chunks;
    rules.may_spill = !options.spill_folder.empty();
    if (options.save_every > 0) rules.resident_chunks = options.save_every;
    WaveRules share = rules;  // of one device
    share.n_chunks = divide_up(n_chunks, n);
    share.wave_chunks = divide_up(options.wave_chunks, n);
    share.resident_chunks = std::max(rules.resident_chunks, kDeviceWaveTokens / options.n_ctx);

    // The host's part: what all members and the collector hold there.
    MemoryNeeds needs = needs_of(pass, pass.file().size_bytes());
    // What is committed by weight; of the wave by input, which weights share.
    needs.host_bytes = (pass.observed_columns() + pass.observed_inputs()) * kBytesPerColumn;
    needs.stream_bytes = devices.size() * pass.stream_bytes() / n_sharing;
    MemoryNeeds together = needs;
    together.weight_bytes *= devices.size();
    together.workspace_bytes *= devices.size();
    WavePlan least;
    for (const backend::Backend* backend : backends) {
        const std::optional<std::uint64_t> room = backend->room_bytes();
        if (!room) continue;
        const WavePlan plan = plan_waves(needs, {bound, room}, share);
        const bool kept = (least.device_bytes == 0 || least.weights_kept) && plan.weights_kept;
        if (least.device_bytes == 0 || plan.wave_chunks < least.wave_chunks) least = plan;
        least.weights_kept = kept;
    }
    if (least.device_bytes == 0) return plan_waves(together, {bound, {}}, rules);
    least.wave_chunks = options.wave_chunks > 0
                            ? options.wave_chunks
                            : std::min(least.wave_chunks * n, std::max<std::int64_t>(1, n_chunks));
    return least;
}

std::int64_t fitting_chunks(const Chunks& chunks, std::int64_t first, const plan::PassPlan& pass,
                            std::int64_t wave_chunks, std::size_t n_devices) {
    if (!pass.options().unequal) return wave_chunks;
    // Chunks are dealt to several devices whole: one may get one more than its share.
    const auto n = static_cast<std::int64_t>(n_devices);
    const std::int64_t most = n == 1 ? wave_chunks : std::max(n, wave_chunks - n);
    std::uint64_t room = static_cast<std::uint64_t>(most) * pass.bytes_per_chunk();
    std::int64_t count = 0;
    for (; first + count < chunks.n_chunks(); ++count) {
        const std::uint64_t bytes = pass.chunk_bytes(chunks.tokens_of(first + count, 1));
        if (count > 0 && bytes > room) break;
        room -= std::min(room, bytes);
    }
    return count;
}

}  // namespace assay::calibrate
