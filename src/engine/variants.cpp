// A wave through a model and its variants at once. The state's rows are those of the model; a variant has
// rows of its own and lends them to the state while a layer runs for it.
#include "engine/variants.h"

#include <chrono>
#include <deque>

#include "engine/pass_state.h"

namespace assay::engine {

namespace {

/// Nothing is observed in such a run.
class NoSink final : public ActivationSink {
  public:
    void on_input(const InputSums&) override {}
    void on_similarity(const SimilaritySums&) override {}
    void on_losses(const ChunkLosses&) override {}
};

bool replaces(const Replacement& replacement, std::initializer_list<const model::Linear*> linears) {
    return std::ranges::any_of(
        linears, [&](const model::Linear* linear) { return replacement.replaces(linear->weight.name); });
}

bool changes_mixer(const Replacement& replacement, const model::Layer& layer) {
    const auto& attention = std::get<model::Attention>(layer.mixer);
    for (const model::Linear& part : attention.qkv)
        if (replaces(replacement, {&part})) return true;
    return replaces(replacement, {&attention.output});
}

/// The feed-forward half but for the experts themselves.
bool changes_ffn(const Replacement& replacement, const model::Layer& layer) {
    if (const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn))
        return replaces(replacement, {&dense->gate, &dense->up, &dense->down});
    return replaces(replacement, {&std::get<model::ExpertFfn>(layer.ffn).router});
}

bool changes_experts(const Replacement& replacement, const model::Layer& layer) {
    const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn);
    return ffn != nullptr && replaces(replacement, {&ffn->gate, &ffn->up, &ffn->down});
}

bool changes(const Replacement& replacement, const model::Layer& layer) {
    return changes_mixer(replacement, layer) || changes_ffn(replacement, layer) ||
           changes_experts(replacement, layer);
}

/// The job made by a variant's sources, from the bytes that the model's own job before it has read.
Job of_variant(Job job, Replacement& replacement) {
    job.reads.clear();
    job.reuses_reads = true;
    job.make = [make = std::move(job.make), &replacement](const TensorBytes& bytes) {
        Unit unit = make(bytes);
        replacement.release();
        return unit;
    };
    return job;
}

/// The rows of a table that some tokens use, as a table of its own; whole groups where rows lie together.
struct UsedRows {
    std::vector<std::byte> bytes;
    std::vector<std::int32_t> tokens;  ///< indices into it
    std::int64_t n_rows = 0;

    UsedRows(const backend::WeightSource& table, std::span<const std::int32_t> wanted)
        : tokens(wanted.begin(), wanted.end()) {
        const auto together = static_cast<std::int32_t>(table.type->group_rows);
        for (const std::int32_t token : tokens)
            if (token < 0 || token >= table.n_out)
                throw_error(ErrorKind::BadFile, "embedding", "token id {} has no row, the table has {}",
                            token, table.n_out);
        std::vector<std::int32_t> used;
        for (const std::int32_t token : tokens) used.push_back(token / together);
        std::ranges::sort(used);
        used.erase(std::unique(used.begin(), used.end()), used.end());
        const std::size_t group_bytes = table.bytes.size() / static_cast<std::size_t>(table.n_out / together);
        for (const std::int32_t group : used) {
            const auto rows = table.bytes.subspan(static_cast<std::size_t>(group) * group_bytes, group_bytes);
            bytes.insert(bytes.end(), rows.begin(), rows.end());
        }
        for (std::int32_t& token : tokens) {
            const auto place = std::ranges::lower_bound(used, token / together) - used.begin();
            token = static_cast<std::int32_t>(place) * together + token % together;
        }
        n_rows = static_cast<std::int64_t>(used.size()) * together;
    }
};

}  // namespace

class Pass::VariantRun {
  public:
    VariantRun(Pass& pass, const Wave& wave, std::span<Replacement* const> variants);
    void run(VariantSink& sink, const std::function<void(std::int64_t, double)>& progress);

  private:
    /// One variant: its hidden states from the first layer that it changes.
    struct Stream {
        Stream(Replacement& of, const Pass& pass)
            : replacement(&of), sources(pass.file_, pass.backend_, pass.options_.n_ctx, &of) {}

        Replacement* replacement;
        WeightSources sources;
        std::size_t start = 0;  ///< index of that layer; the number of layers: only the projection changes
        bool living = false;
        Rows2d hidden;
        Rows2d ffn_input;
        Rows2d router_logits;
        Rows2d operand;  ///< of the projection; absent: the model's
        backend::RoutingPtr routing;
        backend::DivergenceStatePtr divergence;
    };

    /// The state works on the stream's rows.
    class Turn {
      public:
        Turn(State& state, Stream& stream) : state_(state), stream_(stream) { exchange(); }
        ~Turn() { exchange(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

      private:
        void exchange() {
            std::swap(state_.hidden, stream_.hidden);
            std::swap(state_.ffn_input, stream_.ffn_input);
            std::swap(state_.router_logits, stream_.router_logits);
        }
        State& state_;
        Stream& stream_;
    };

    /// Hidden states of the variants that change the embedding. Before the loader starts, since both ask
    /// replacements for bytes.
    void embed();
    std::vector<Job> jobs() const;
    void allocate(Stream& stream) const;
    void start(Stream& stream, State& state) const;
    void run_layer(State& state, const model::Layer& layer);
    /// body(weights) for the model and for each variant, with the weights that `changes` says it has.
    template <typename Weights, typename Changes, typename Body>
    void run_half(State& state, const Changes& changes, const Body& body);
    void run_experts(State& state, const model::Layer& layer, const model::ExpertFfn& ffn,
                     const backend::Routing& routing);
    void run_output(State& state, VariantSink& sink);
    void deliver(VariantSink& sink);
    bool projects(const Stream& stream) const {
        return stream.replacement->replaces(pass_.spec_.output.weight.name);
    }
    /// What a step reads of the weights, times the streams that pass through it.
    std::vector<double> work() const;

    Pass& pass_;
    const Wave& wave_;
    const std::int64_t n_rows_;
    std::deque<Stream> streams_;
};

Pass::VariantRun::VariantRun(Pass& pass, const Wave& wave, std::span<Replacement* const> variants)
    : pass_(pass), wave_(wave), n_rows_(wave.n_chunks * pass.options_.n_ctx) {
    const auto& layers = pass.spec_.layers;
    for (Replacement* replacement : variants) {
        Stream& stream = streams_.emplace_back(*replacement, pass);
        if (replacement->replaces(pass.spec_.embedding.name)) continue;
        while (stream.start < layers.size() && !changes(*replacement, layers[stream.start])) ++stream.start;
    }
}

void Pass::VariantRun::allocate(Stream& stream) const {
    const auto rows = [&](std::int64_t cols) {
        return Rows2d::allocate(pass_.backend_, n_rows_, cols, backend::DType::F32);
    };
    stream.hidden = rows(pass_.spec_.hidden);
    stream.ffn_input = rows(pass_.sizes_->experts > 0 ? pass_.spec_.hidden : 0);
    stream.router_logits = rows(pass_.sizes_->experts);
    stream.living = true;
}

void Pass::VariantRun::embed() {
    const model::Weight& table = pass_.spec_.embedding;
    for (Stream& stream : streams_) {
        if (!stream.replacement->replaces(table.name)) continue;
        allocate(stream);
        backend::WeightSource source = pass_.sources_.mapped(table);
        const UsedRows used(source, wave_.inputs);
        source.bytes = used.bytes;
        source.n_out = used.n_rows;
        pass_.backend_.embed(stream.replacement->replace(table.name, 0, source), used.tokens,
                             pass_.spec_.embedding_scale, stream.hidden.view);
        pass_.backend_.synchronize();
        stream.replacement->release();
    }
}

void Pass::VariantRun::start(Stream& stream, State& state) const {
    if (stream.living) return;
    allocate(stream);
    pass_.backend_.observe(state.hidden.view, {wave_.n_chunks, state.n_ctx}, {{}, stream.hidden.view, {}});
}

std::vector<Job> Pass::VariantRun::jobs() const {
    std::vector<Job> jobs;
    const model::ModelSpec& spec = pass_.spec_;
    for (const model::Layer& layer : spec.layers) {
        jobs.push_back(pass_.sources_.mixer(layer));
        for (const Stream& stream : streams_)
            if (changes_mixer(*stream.replacement, layer))
                jobs.push_back(of_variant(stream.sources.mixer(layer), *stream.replacement));
        jobs.push_back(pass_.sources_.ffn(layer));
        for (const Stream& stream : streams_)
            if (changes_ffn(*stream.replacement, layer))
                jobs.push_back(of_variant(stream.sources.ffn(layer), *stream.replacement));
        const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn);
        const std::int64_t batch = ffn != nullptr ? pass_.expert_batch(*ffn) : 0;
        for (std::int64_t first = 0; ffn != nullptr && first < ffn->n_experts; first += batch) {
            const std::int64_t count = std::min(batch, ffn->n_experts - first);
            jobs.push_back(pass_.sources_.experts(*ffn, first, count));
            for (const Stream& stream : streams_)
                if (changes_experts(*stream.replacement, layer))
                    jobs.push_back(
                        of_variant(stream.sources.experts(*ffn, first, count), *stream.replacement));
        }
    }
    const std::int64_t panel = pass_.vocabulary_panel();
    for (std::int64_t first = 0; first < spec.n_vocab; first += panel) {
        const std::int64_t count = std::min(panel, spec.n_vocab - first);
        jobs.push_back(pass_.sources_.vocabulary(spec.output, first, count));
        for (const Stream& stream : streams_)
            if (projects(stream))
                jobs.push_back(
                    of_variant(stream.sources.vocabulary(spec.output, first, count), *stream.replacement));
    }
    return jobs;
}

std::vector<double> Pass::VariantRun::work() const {
    std::vector<double> work;
    for (const model::Layer& layer : pass_.spec_.layers) {
        auto bytes = static_cast<double>(pass_.sources_.mixer(layer).read_bytes() +
                                         pass_.sources_.ffn(layer).read_bytes());
        if (const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn))
            bytes += static_cast<double>(pass_.sources_.experts(*ffn, 0, ffn->n_used).read_bytes());
        const auto living = std::ranges::count_if(
            streams_, [&](const Stream& stream) { return stream.start <= work.size(); });
        work.push_back(bytes * static_cast<double>(1 + living));
    }
    // Half of the positions are scored.
    const Job projection = pass_.sources_.vocabulary(pass_.spec_.output, 0, pass_.spec_.n_vocab);
    work.push_back(static_cast<double>(projection.read_bytes()) / 2 *
                   static_cast<double>(1 + streams_.size()));
    return work;
}

template <typename Weights, typename Changes, typename Body>
void Pass::VariantRun::run_half(State& state, const Changes& changes, const Body& body) {
    {
        const auto weights = state.take<Weights>();
        body(*weights);
        for (Stream& stream : streams_) {
            if (!stream.living || changes(*stream.replacement)) continue;
            const Turn turn(state, stream);
            body(*weights);
        }
    }
    for (Stream& stream : streams_) {
        if (!changes(*stream.replacement)) continue;
        const auto weights = state.take<Weights>();
        const Turn turn(state, stream);
        body(*weights);
    }
}

void Pass::VariantRun::run_layer(State& state, const model::Layer& layer) {
    run_half<MixerWeights>(
        state, [&](const Replacement& replacement) { return changes_mixer(replacement, layer); },
        [&](const MixerWeights& weights) { pass_.run_mixer_groups(state, layer, weights); });
    run_half<FfnWeights>(
        state, [&](const Replacement& replacement) { return changes_ffn(replacement, layer); },
        [&](const FfnWeights& weights) { pass_.run_ffn_groups(state, layer, weights); });
    const auto* ffn = std::get_if<model::ExpertFfn>(&layer.ffn);
    if (ffn == nullptr) return;
    const backend::RoutingPtr routing = pass_.route(state, *ffn);
    for (Stream& stream : streams_) {
        if (!stream.living) continue;
        const Turn turn(state, stream);
        stream.routing = pass_.route(state, *ffn);
    }
    run_experts(state, layer, *ffn, *routing);
}

void Pass::VariantRun::run_experts(State& state, const model::Layer& layer, const model::ExpertFfn& ffn,
                                   const backend::Routing& routing) {
    for (std::int64_t next = 0; next < ffn.n_experts;) {
        {
            const auto unit = state.take<ExpertUnit>();
            next += static_cast<std::int64_t>(unit->down.size());
            pass_.run_expert_unit(state, ffn, routing, *unit);
            for (Stream& stream : streams_) {
                if (!stream.living || changes_experts(*stream.replacement, layer)) continue;
                const Turn turn(state, stream);
                pass_.run_expert_unit(state, ffn, *stream.routing, *unit);
            }
        }
        for (Stream& stream : streams_) {
            if (!changes_experts(*stream.replacement, layer)) continue;
            const auto unit = state.take<ExpertUnit>();
            const Turn turn(state, stream);
            pass_.run_expert_unit(state, ffn, *stream.routing, *unit);
        }
    }
}

void Pass::VariantRun::run_output(State& state, VariantSink& sink) {
    const NormWeights norm = pass_.sources_.norm(pass_.spec_.output_norm);
    const Rows2d operand = pass_.scored_rows(state, norm);
    if (!operand.view.present() || operand.view.rows == 0) return;
    const std::vector<std::int32_t> targets = state.scored_targets();
    for (Stream& stream : streams_) {
        stream.divergence = pass_.backend_.begin_divergence(targets);
        if (!stream.living) continue;
        const Turn turn(state, stream);
        stream.operand = pass_.scored_rows(state, norm);
        state.hidden = {};  // the stream's, no longer needed
    }
    for (std::int64_t first = 0; first < pass_.spec_.n_vocab;) {
        const auto unit = state.take<VocabularyUnit>();
        std::vector<std::shared_ptr<const VocabularyUnit>> own;
        for (const Stream& stream : streams_)
            if (projects(stream)) own.push_back(state.take<VocabularyUnit>());
        std::vector<backend::Compared> compared;
        auto next = own.begin();
        for (Stream& stream : streams_)
            compared.push_back({stream.divergence.get(), stream.living ? stream.operand.view : operand.view,
                                projects(stream) ? (*next++)->panel.get() : unit->panel.get()});
        pass_.backend_.add_divergences(operand.view, *unit->panel, compared,
                                       unit->bias ? unit->bias->f32() : nullptr, unit->first,
                                       pass_.spec_.logit_scale, pass_.spec_.logit_soft_cap);
        first += unit->panel->n_out();
    }
    deliver(sink);
}

void Pass::VariantRun::deliver(VariantSink& sink) {
    for (std::size_t v = 0; v < streams_.size(); ++v) {
        const std::vector<backend::Divergence> rows =
            pass_.backend_.finish_divergence(*streams_[v].divergence);
        const std::size_t per_chunk = rows.size() / static_cast<std::size_t>(wave_.n_chunks);
        for (std::int64_t chunk = 0; chunk < wave_.n_chunks; ++chunk)
            sink.on_variant(
                {static_cast<std::int64_t>(v), wave_.first_chunk + chunk,
                 std::span(rows).subspan(static_cast<std::size_t>(chunk) * per_chunk, per_chunk)});
    }
}

void Pass::VariantRun::run(VariantSink& sink, const std::function<void(std::int64_t, double)>& progress) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<double> work_of = work();
    double total = 0;
    for (const double step : work_of) total += step;
    embed();
    NoSink no_sink;
    // Variants are made from what is read for the model.
    State state(pass_, wave_, no_sink, jobs(), std::move(pass_.open_streams(1).front()));
    pass_.backend_.embed(pass_.sources_.mapped(pass_.spec_.embedding), wave_.inputs,
                         pass_.spec_.embedding_scale, state.hidden.view);
    double done = 0;
    for (std::size_t l = 0; l < pass_.spec_.layers.size(); ++l) {
        for (Stream& stream : streams_)
            if (stream.start == l) start(stream, state);
        run_layer(state, pass_.spec_.layers[l]);
        progress(static_cast<std::int64_t>(l) + 1, (done += work_of[l]) / total);
    }
    run_output(state, sink);
    progress(pass_.n_steps(), 1);
    pass_.backend_.synchronize();
    pass_.times_.waiting_for_weights += state.loader.waited_seconds();
    pass_.times_.reading += state.loader.reading_seconds();
    pass_.times_.total += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void Pass::run_variants(const Wave& wave, std::span<Replacement* const> variants, VariantSink& sink,
                        const std::function<void(std::int64_t, double)>& progress) {
    VariantRun(*this, wave, variants).run(sink, progress);
}

std::uint64_t Pass::variant_weight_bytes(std::int64_t n_projections,
                                         double bytes_per_rounded_weight) const noexcept {
    // A unit of the model or a variant is in use while that of the next variant is made from rounded bytes.
    // Panels of the vocabulary are held together: the model's, the variants', and the one in the making.
    std::uint64_t largest = 0;
    for (const Job& job : layer_jobs()) largest = std::max(largest, job.prepared_bytes);
    const std::int64_t panel = std::min(vocabulary_panel(), spec_.n_vocab);
    const std::uint64_t panel_bytes = sources_.vocabulary(spec_.output, 0, panel).prepared_bytes;
    const auto operand_bytes = static_cast<double>(backend::size_of(backend_.operand_dtype()));
    const double rounded =
        static_cast<double>(std::max(largest, panel_bytes)) / operand_bytes * bytes_per_rounded_weight;
    return std::max(2 * largest, panel_bytes * static_cast<std::uint64_t>(n_projections + 2)) +
           static_cast<std::uint64_t>(rounded);
}

}  // namespace assay::engine
