#include "engine/pass.h"

#include <chrono>

#include "engine/pass_state.h"

namespace assay::engine {

namespace {

/// Prepared experts that wait for the ones in use.
constexpr std::uint64_t kExpertBatchBytes = std::uint64_t{128} << 20;
/// Of a column's sums: of squares and of values.
constexpr std::int64_t kSumsBytes = 2 * sizeof(float);
/// Sums under way to the sink: enough groups of chunks to ride out a sink that is slow for a moment.
constexpr std::uint64_t kDeliveredGroups = 4;
constexpr std::uint64_t kMostDeliveryBytes = std::uint64_t{32} << 20;
constexpr std::uint64_t kVocabularyPanelBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kLeastStreamBytes = std::uint64_t{64} << 20;

/// The most that `n` neighbours in the order of use have together.
template <typename Size> std::uint64_t largest_run(const std::vector<Job>& jobs, std::size_t n, Size size) {
    std::uint64_t largest = 0;
    std::uint64_t run = 0;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        run += size(jobs[i]);
        if (i >= n) run -= size(jobs[i - n]);
        largest = std::max(largest, run);
    }
    return largest;
}

/// Bringing weights to a device and computing take turns at being the slower one, since the halves of a layer
/// differ: two units ahead even that out. Preparing in host memory competes with computing anyway.
std::size_t units_ahead(const backend::Backend& backend) { return backend.uses_host_memory() ? 1 : 2; }

}  // namespace

Pass::Sizes Pass::Sizes::of(const model::ModelSpec& spec, const backend::Backend& backend,
                            std::int64_t n_ctx) {
    Sizes sizes;
    for (const model::Layer& layer : spec.layers) {
        const auto& attention = std::get<model::Attention>(layer.mixer);
        std::int64_t qkv = 0;
        for (const model::Linear& part : attention.qkv) qkv += part.weight.n_out;
        sizes.qkv = std::max(sizes.qkv, qkv);
        sizes.attention_out = std::max(sizes.attention_out, attention.n_heads * attention.value_dim);
        if (const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn))
            sizes.ffn = std::max(sizes.ffn, dense->down.weight.n_in);
        else
            sizes.experts = std::max(sizes.experts, std::get<model::ExpertFfn>(layer.ffn).n_experts);
        sizes.post_norms =
            sizes.post_norms || layer.mixer_post_norm.present() || layer.ffn_post_norm.present();
    }
    sizes.group_chunks = std::max<std::int64_t>(1, backend.preferred_rows() / n_ctx);
    return sizes;
}

Pass::Pass(const gguf::File& file, const model::ModelSpec& spec, backend::Backend& backend,
           const PassOptions& options)
    : file_(file),
      spec_(spec),
      backend_(backend),
      options_(options),
      sources_(file, backend, options.n_ctx),
      sizes_(std::make_unique<Sizes>(Sizes::of(spec, backend, options.n_ctx))),
      parcels_(std::make_unique<ParcelPool>()) {}

Pass::~Pass() = default;

std::int64_t Pass::n_steps() const noexcept { return static_cast<std::int64_t>(spec_.layers.size()) + 1; }

std::uint64_t Pass::bytes_per_chunk() const noexcept {
    const std::int64_t operand = backend::size_of(backend_.operand_dtype());
    std::int64_t per_row = spec_.hidden * 4;
    if (sizes_->experts > 0) per_row += (spec_.hidden + sizes_->experts) * 4;
    if (options_.losses) per_row += spec_.hidden * operand / 2;
    if (options_.similarity) per_row += (sizes_->experts > 0 ? 4 : 5) * spec_.hidden * 4;
    return static_cast<std::uint64_t>(per_row * options_.n_ctx) + expert_sums_bytes();
}

std::uint64_t Pass::workspace_bytes() const noexcept {
    const std::int64_t operand = backend::size_of(backend_.operand_dtype());
    const std::int64_t activation = backend::size_of(backend_.activation_dtype());
    std::int64_t per_row =
        (spec_.hidden + sizes_->attention_out + sizes_->ffn) * operand + sizes_->qkv * activation;
    if (sizes_->post_norms) per_row += spec_.hidden * 4;
    return static_cast<std::uint64_t>(per_row * sizes_->group_chunks * options_.n_ctx) + group_sums_bytes() +
           delivery_bytes();
}

std::uint64_t Pass::waiting_bytes_per_chunk() const noexcept {
    return static_cast<std::uint64_t>((2 * spec_.hidden + sizes_->attention_out + sizes_->ffn) * kSumsBytes);
}

std::uint64_t Pass::group_sums_bytes() const noexcept {
    return waiting_bytes_per_chunk() * static_cast<std::uint64_t>(sizes_->group_chunks);
}

std::uint64_t Pass::delivery_bytes() const noexcept {
    return std::min(kMostDeliveryBytes, kDeliveredGroups * group_sums_bytes());
}

/// A batch of experts leaves two parcels of sums for every chunk of the wave, and those of the batches before
/// it may still be under way.
std::uint64_t Pass::expert_sums_bytes() const {
    std::int64_t most = 0;
    for (const model::Layer& layer : spec_.layers)
        if (const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn))
            most = std::max(most, expert_batch(*ffn) * (spec_.hidden + ffn->down.weight.n_in));
    constexpr std::int64_t kBatches = 1 + Delivery::kFewItems / 2;
    return static_cast<std::uint64_t>(kBatches * most * kSumsBytes);
}

std::int64_t Pass::expert_batch(const model::ExpertFfn& ffn) const {
    const std::uint64_t each = prepared_bytes(backend_, ffn.gate.weight) +
                               prepared_bytes(backend_, ffn.up.weight) +
                               prepared_bytes(backend_, ffn.down.weight);
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(kExpertBatchBytes / each), 1, ffn.n_experts);
}

std::int64_t Pass::vocabulary_panel() const {
    const auto row = static_cast<std::uint64_t>(spec_.hidden * backend::size_of(backend_.operand_dtype()));
    constexpr std::uint64_t kStep = 512;
    return static_cast<std::int64_t>(std::max(kStep, kVocabularyPanelBytes / row / kStep * kStep));
}

std::vector<Job> Pass::layer_jobs() const {
    std::vector<Job> jobs;
    for (const model::Layer& layer : spec_.layers) {
        jobs.push_back(sources_.mixer(layer));
        jobs.push_back(sources_.ffn(layer));
        if (const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn)) {
            const std::int64_t batch = expert_batch(*ffn);
            for (std::int64_t first = 0; first < ffn->n_experts; first += batch)
                jobs.push_back(sources_.experts(*ffn, first, std::min(batch, ffn->n_experts - first)));
        }
    }
    return jobs;
}

std::vector<Job> Pass::jobs() const {
    std::vector<Job> jobs = layer_jobs();
    if (!options_.losses) return jobs;
    const std::int64_t panel = vocabulary_panel();
    for (std::int64_t first = 0; first < spec_.n_vocab; first += panel)
        jobs.push_back(sources_.vocabulary(spec_.output, first, std::min(panel, spec_.n_vocab - first)));
    return jobs;
}

std::uint64_t Pass::weight_bytes() const noexcept {
    return largest_run(jobs(), 1 + units_ahead(backend_), [](const Job& job) { return job.prepared_bytes; });
}

std::uint64_t Pass::all_weight_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const Job& job : jobs()) total += job.prepared_bytes;
    return total;
}

std::uint64_t Pass::stream_bytes() const noexcept {
    // One being prepared, the next one read; more where they are small, so that the disk never waits.
    const std::uint64_t pair =
        largest_run(jobs(), 2, [](const Job& job) { return Stage::size_bytes(job.reads); });
    return std::max(pair, kLeastStreamBytes);
}

std::uint64_t Pass::observed_columns() const noexcept {
    std::uint64_t columns = 0;
    for (const Job& job : layer_jobs())
        for (const TensorRange& range : job.reads)
            columns +=
                range.size_bytes / (range.tensor->row_bytes() * range.tensor->ne[1]) * range.tensor->ne[0];
    if (!options_.observed_output.empty()) columns += static_cast<std::uint64_t>(spec_.hidden);
    return columns;
}

void Pass::stream_weights() noexcept {
    options_.stream = true;
    // What is still read through the mapping, embedding rows above all, lies scattered.
    for (std::size_t shard = 0; shard < file_.n_shards(); ++shard)
        file_.shard(shard).expect_scattered_reads();
}

std::uint64_t Pass::read_bytes_per_wave() const noexcept {
    std::uint64_t total = 0;
    for (const Job& job : jobs()) total += job.read_bytes();
    return total;
}

Pass::State::State(Pass& pass, const Wave& wave_, ActivationSink& sink, std::vector<Job> jobs,
                   std::unique_ptr<StreamReader> reader, Turns* turns)
    : backend(pass.backend_),
      wave(wave_),
      n_ctx(pass.options_.n_ctx),
      n_rows(wave_.n_chunks * pass.options_.n_ctx),
      delivery(pass.backend_, sink, *pass.parcels_,
               pass.delivery_bytes() + (turns != nullptr ? pass.waiting_bytes_per_chunk() *
                                                               static_cast<std::uint64_t>(wave_.n_chunks)
                                                         : 0),
               turns),
      observation(delivery, pass.options_.sums),
      spill_folder(pass.options_.spill_folder),
      loader(pass.file_, std::move(jobs),
             {units_ahead(pass.backend_), pass.options_.keep_weights ? &pass.kept_ : nullptr},
             std::move(reader)) {
    const Sizes& sizes = *pass.sizes_;
    const std::int64_t width = pass.spec_.hidden;
    const std::int64_t group_rows = std::min(n_rows, sizes.group_chunks * n_ctx);
    const backend::DType operand_type = backend.operand_dtype();
    const bool similarity = pass.options_.similarity;
    const auto f32_of_wave = [&](std::int64_t cols) { return of_wave(n_rows, cols, backend::DType::F32); };
    const auto of_group = [&](std::int64_t cols, backend::DType type) {
        return Rows2d::allocate(backend, group_rows, cols, type);
    };
    hidden = f32_of_wave(width);
    ffn_input = f32_of_wave(sizes.experts > 0 || similarity ? width : 0);
    router_logits = f32_of_wave(sizes.experts);
    layer_input = f32_of_wave(similarity ? width : 0);
    previous_input = f32_of_wave(similarity ? width : 0);
    operand = of_group(width, operand_type);
    qkv = of_group(sizes.qkv, backend.activation_dtype());
    attention_out = of_group(sizes.attention_out, operand_type);
    ffn_operand = of_group(sizes.ffn, operand_type);
    branch = of_group(sizes.post_norms ? width : 0, backend::DType::F32);
    before = f32_of_wave(similarity ? width : 0);
    middle = f32_of_wave(similarity ? width : 0);
}

Rows2d Pass::State::of_wave(std::int64_t rows, std::int64_t cols, backend::DType type) {
    if (spill_folder.empty() || cols == 0) return Rows2d::allocate(backend, rows, cols, type);
    auto memory = std::make_unique<SpilledRows>(spill_folder, rows, cols * size_of(type));
    spilled.push_back(memory.get());
    return Rows2d::of(std::move(memory), rows, cols, type);
}

void Pass::State::begin(const Group& group) const {
    const std::int64_t next = group.first_row + group.rows.count();
    for (const SpilledRows* rows : spilled)
        rows->will_need(next, std::min(group.rows.count(), n_rows - next));
}

void Pass::State::end(const Group& group) const {
    for (const SpilledRows* rows : spilled) rows->write_back(group.first_row, group.rows.count());
}

std::vector<Pass::Group> Pass::State::groups(std::int64_t group_chunks) const {
    std::vector<Group> groups;
    for (std::int64_t first = 0; first < wave.n_chunks; first += group_chunks) {
        const std::int64_t count = std::min(group_chunks, wave.n_chunks - first);
        groups.push_back({first * n_ctx, {count, n_ctx}, {wave.first_chunk + first, count}});
    }
    return groups;
}

std::vector<std::unique_ptr<StreamReader>> Pass::open_streams(std::size_t n_passes) const {
    const std::vector<Job> all = jobs();
    if (!options_.stream || kept_.size() == all.size())
        return std::vector<std::unique_ptr<StreamReader>>(n_passes);
    return open_stream(file_, reads_of(all), n_passes * stream_bytes(), n_passes);
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress) {
    run(wave, sink, progress, std::move(open_streams(1).front()), nullptr);
}

void Pass::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
               std::unique_ptr<StreamReader> reader, Turns* turns) {
    try {
        run_wave(wave, sink, progress, std::move(reader), turns);
    } catch (...) {
        parcels_->clear();  // the caller may try a smaller wave
        throw;
    }
}

void Pass::run_wave(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
                    std::unique_ptr<StreamReader> reader, Turns* turns) {
    const auto start = std::chrono::steady_clock::now();
    State state(*this, wave, sink, jobs(), std::move(reader), turns);
    backend_.embed(sources_.mapped(spec_.embedding), wave.inputs, spec_.embedding_scale, state.hidden.view);
    std::int64_t steps = 0;
    for (const model::Layer& layer : spec_.layers) {
        run_layer(state, layer);
        progress(++steps);
    }
    run_output(state);
    state.delivery.finish();
    progress(++steps);
    backend_.synchronize();
    times_.waiting_for_weights += state.loader.waited_seconds();
    times_.reading += state.loader.reading_seconds();
    times_.waiting_for_sink += state.delivery.waited_seconds();
    times_.total += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace assay::engine
