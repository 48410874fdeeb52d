// Passes over several backends as one: the chunks of a wave are dealt out in consecutive runs, a pass on a
// thread of its own takes each, and the sink hears what a single pass would have told it.
#pragma once

#include <memory>
#include <vector>

#include "engine/observation.h"
#include "engine/pass.h"

namespace assay::engine {

/// The wave's chunks dealt to n as evenly as can be by tokens, longer runs first; none is empty, so there may
/// be fewer than n.
std::vector<ChunkRange> deal_chunks(const Wave& wave, std::size_t n);

/// plan::PassPlan and backends are borrowed. At least one backend; their kind decides the result's bits,
/// their number does not.
class Team {
  public:
    Team(const plan::PassPlan& plan, const std::vector<backend::Backend*>& backends,
         const Placement& placement);

    std::size_t size() const noexcept { return members_.size(); }
    const Pass& member(std::size_t index) const { return *members_.at(index); }

    /// As Pass::run(): progress() comes from the calling thread and tells of the member that is furthest
    /// behind. When one fails, or progress() throws, the others stop at the end of their layer and what was
    /// thrown first comes out.
    void run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress);

  private:
    std::vector<std::unique_ptr<Pass>> members_;
};

}  // namespace assay::engine
