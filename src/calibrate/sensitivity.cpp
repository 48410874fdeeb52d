#include "calibrate/sensitivity.h"

#include <algorithm>
#include <deque>
#include <fmt/format.h>

#include "calibrate/rounding.h"
#include "calibrate/variant_run.h"
#include "model/registry.h"
#include "recipe/rules.h"

namespace assay::calibrate {

namespace {

imatrix::Matrix load_matrix(const SensitivityOptions& options, Observer& observer) {
    if (options.matrix.empty()) return imatrix::Matrix();
    observer.on_loading(options.matrix);
    imatrix::Notes notes;
    imatrix::Matrix matrix = imatrix::load(options.matrix, {}, notes);
    for (const std::string& note : notes) observer.on_note(note);
    return matrix;
}

/// Sums per variant and chunk, so that the total does not depend on which sweep gave which.
class Sink final : public engine::VariantSink {
  public:
    explicit Sink(std::size_t n_variants) : chunks_(n_variants) {}

    void on_variant(const engine::VariantChunk& chunk) override {
        perplexity::PairedSums sums;
        for (const backend::Divergence& row : chunk.positions)
            sums.add(row.reference_loss, row.loss, row.divergence);
        chunks_[static_cast<std::size_t>(chunk.variant)].push_back(sums);
    }
    perplexity::PairedSums total(std::size_t variant, std::int64_t n_chunks) const {
        perplexity::PairedSums sums;
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk)
            sums.merge(chunks_[variant][static_cast<std::size_t>(chunk)]);
        return sums;
    }

  private:
    std::vector<std::vector<perplexity::PairedSums>> chunks_;
};

void tell_unrounded(const gguf::File& file, const RoundingPlan& rounding, Observer& observer) {
    for (const perplexity::Unrounded& type : rounding.unrounded) {
        std::map<std::string, std::uint64_t> kinds;
        for (const std::string& name : type.tensors)
            kinds[recipe::split_block(name).kind] = file.get(name).ne[0];
        std::string text;
        for (const auto& [kind, n_in] : kinds)
            text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", kind, n_in);
        observer.on_note(
            fmt::format("{} tensors stay as they are, their rows are no multiple of the block of {}: {}",
                        type.tensors.size(), type.type, text));
    }
}

double bytes_per_weight(quant::TypeId id) {
    const quant::TypeInfo& type = quant::type_info(id);
    return static_cast<double>(type.block_bytes) / static_cast<double>(type.block);
}

}  // namespace

SensitivityResult run_sensitivity(const SensitivityOptions& options, Observer& observer) {
    const gguf::File file = gguf::File::open(options.run.model, options.run.metadata);
    const model::Program program = model::build(file, {options.run.n_ctx});
    const RoundingPlan rounding = plan_rounding(file, program, options.by, options.types);
    const imatrix::Matrix matrix = load_matrix(options, observer);
    VariantRun run(file, program, options.run, observer);

    ThreadPool rounding_pool(run.n_threads());  // rounds the next layer while this one computes
    Rounder rounder(file, matrix, rounding_pool);
    std::deque<Rounding> roundings;
    Variants variants;
    for (const RoundedUnit& unit : rounding.units) {
        variants.all.push_back({&roundings.emplace_back(unit.tensors, unit.type, rounder)});
        variants.n_projections += unit.tensors.contains(program.output.linear.weight.name) ? 1 : 0;
    }
    for (const quant::TypeId type : options.types)
        variants.bytes_per_weight = std::max(variants.bytes_per_weight, bytes_per_weight(type));
    tell_unrounded(file, rounding, observer);
    Sink sink(rounding.units.size());
    const VariantsDone done = run.run(variants, sink);

    SensitivityResult result{{}, done.stopped, done.tokens, done.seconds};
    perplexity::Sensitivity& table = result.table;
    table.model = program.name.empty() ? options.run.model.filename().string() : program.name;
    table.architecture = program.architecture;
    table.by = to_string(options.by);
    table.n_ctx = options.run.n_ctx;
    table.n_chunks = done.n_chunks;
    table.unrounded = rounding.unrounded;
    for (std::size_t v = 0; v < rounding.units.size() && done.n_chunks > 0; ++v) {
        const RoundedUnit& unit = rounding.units[v];
        const perplexity::PairedSums sums = sink.total(v, done.n_chunks);
        table.positions = sums.count;
        table.perplexity = sums.reference_perplexity();
        table.units.push_back({unit.unit,
                               std::string(quant::type_info(unit.type).name),
                               {unit.tensors.begin(), unit.tensors.end()},
                               unit.weights,
                               sums.perplexity_change(),
                               sums.mean_divergence()});
    }
    return result;
}

}  // namespace assay::calibrate
