// A model and variants of it over a text: what the jobs that compare them share.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "calibrate/chunks.h"
#include "calibrate/job.h"
#include "calibrate/memory.h"
#include "core/thread_pool.h"
#include "engine/pass.h"
#include "gguf/file.h"
#include "model/program.h"
#include "plan/plan.h"

namespace assay::calibrate {

/// What a job compares the model with.
struct Variants {
    std::vector<engine::Variant> all;
    // Of those with a replacement.
    std::int64_t n_projections = 0;  ///< that change the output projection
    double bytes_per_weight = 0;     ///< of the largest type
};

struct VariantsDone {
    std::int64_t n_chunks = 0;  ///< whole ones; a variant's sink has heard of these and perhaps of more
    bool stopped = false;       ///< before the last chunk, on request
    std::int64_t tokens = 0;    ///< of the text that went through
    double seconds = 0;
};

/// One pass on the first of the devices asked for; the weights are read once, or as few times as memory
/// allows. File, program, options and observer are borrowed.
class VariantRun {
  public:
    /// Tokenizes the text. Throws Error, and Error{Usage} where nothing would be scored.
    VariantRun(const gguf::File& file, const model::Program& program, const Options& options,
               Observer& observer);

    std::int64_t n_chunks() const noexcept { return chunks_.n_chunks(); }
    int n_threads() const noexcept { return pool_->size(); }
    /// For engine::Variant::plan. Borrows both.
    plan::PassPlan plan_of(const gguf::File& file, const model::Program& program) const;

    /// The sink counts variants as `variants` does. The same bytes for any memory bound and number of
    /// threads. Throws Error, and Error{Numeric} when losses are no numbers.
    VariantsDone run(const Variants& variants, engine::VariantSink& sink);

  private:
    struct Stopped {};
    /// The model's and those of the variants, each once.
    std::vector<const gguf::File*> files(const Variants& variants) const;
    SweepPlan plan_for(const Variants& variants) const;
    void announce(const Variants& variants, const SweepPlan& plan);
    void run_wave(std::int64_t first, std::int64_t count, const Variants& variants, const SweepPlan& plan,
                  engine::VariantSink& sink);
    double elapsed_seconds() const;

    const gguf::File& file_;
    const model::Program& program_;
    const Options& options_;
    Observer& observer_;
    const Chunks chunks_;
    std::unique_ptr<ThreadPool> pool_;
    std::unique_ptr<backend::Backend> backend_;
    plan::PassPlan plan_;
    std::optional<engine::Pass> pass_;
    double start_seconds_ = 0;
};

}  // namespace assay::calibrate
