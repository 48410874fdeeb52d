#include "calibrate/kld.h"

#include <deque>

#include "calibrate/same_model.h"
#include "calibrate/variant_run.h"
#include "model/registry.h"

namespace assay::calibrate {

namespace {

/// A file of the model. Its plan, when there is one, borrows the rest.
struct Opened {
    Opened(const std::filesystem::path& path, const Options& run)
        : file(gguf::File::open(path, run.metadata)), program(model::build(file, {run.n_ctx})) {}

    gguf::File file;
    model::Program program;
    std::optional<plan::PassPlan> plan{};
};

double bits_per_weight(const gguf::File& file) {
    double bytes = 0;
    double weights = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        bytes += static_cast<double>(tensor.size_bytes);
        weights += static_cast<double>(tensor.elements());
    }
    return weights > 0 ? 8 * bytes / weights : 0;
}

class Sink final : public engine::VariantSink {
  public:
    explicit Sink(std::size_t n_files) : files(n_files) {}

    void on_variant(const engine::VariantChunk& chunk) override {
        std::vector<perplexity::ScoredPosition> positions;
        for (const backend::Divergence& row : chunk.positions)
            positions.push_back({row.reference_loss, row.loss, row.divergence, row.same_top});
        files[static_cast<std::size_t>(chunk.variant)].add_chunk(positions);
    }

    std::vector<perplexity::FilePositions> files;
};

}  // namespace

KldResult run_kld(const KldOptions& options, Observer& observer) {
    const Opened base(options.run.model, options.run);
    std::deque<Opened> others;
    for (const std::filesystem::path& path : options.files) {
        const Opened& other = others.emplace_back(path, options.run);
        check_same_model(base.file, base.program, other.file, other.program);
    }
    VariantRun run(base.file, base.program, options.run, observer);
    Variants variants;
    for (Opened& other : others) {
        other.plan.emplace(run.plan_of(other.file, other.program));
        variants.all.push_back({nullptr, &*other.plan});
    }
    Sink sink(others.size());
    const VariantsDone done = run.run(variants, sink);

    KldResult result{{}, done.stopped, done.tokens, done.seconds};
    perplexity::Comparison& table = result.table;
    table.base = options.run.model.string();
    table.architecture = base.program.architecture;
    table.bits_per_weight = bits_per_weight(base.file);
    table.n_ctx = options.run.n_ctx;
    table.n_chunks = done.n_chunks;
    if (done.n_chunks == 0) return result;
    for (perplexity::FilePositions& positions : sink.files) positions.keep_chunks(done.n_chunks);
    table.positions = sink.files.front().count();
    table.perplexity = sink.files.front().base_perplexity();
    for (std::size_t i = 0; i < sink.files.size(); ++i) {
        perplexity::ComparedFile& file = table.files.emplace_back(sink.files[i].compare());
        file.name = options.files[i].string();
        file.bits_per_weight = bits_per_weight(others[i].file);
        for (std::size_t before = 0; before < i; ++before) {
            perplexity::ComparedPair pair =
                perplexity::FilePositions::compare(sink.files[before], sink.files[i]);
            pair.first = before;
            pair.second = i;
            table.pairs.push_back(pair);
        }
    }
    return result;
}

}  // namespace assay::calibrate
