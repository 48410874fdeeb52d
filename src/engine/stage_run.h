// One stage over one group of chunks: the page where a layer's steps become calls of the backend. Private to
// the engine.
#pragma once

#include "engine/line.h"
#include "engine/observation.h"
#include "engine/rows.h"
#include "plan/plan.h"
#include "weights/sources.h"

namespace assay::engine {

/// Everything is borrowed for the call; `group` is one of parts[stage.ahead]. `arena` holds the group's
/// values, plan.bytes_per_row a row.
class StageRun {
  public:
    StageRun(const plan::PassPlan& plan, const plan::StagePlan& stage, backend::Backend& backend,
             Delivery& delivery, Observation& observation, const weights::Unit& unit, const Line& line,
             const std::vector<PartRows>& parts, const Group& group, const backend::Buffer& arena);

    void run();
    /// A value as the stage leaves it.
    backend::View plain(const model::Value& value) const;

  private:
    void run(const plan::Instruction& instruction);
    void run(const model::Step& step, const plan::Instruction& instruction,
             const weights::StepWeights& weights);
    void run_product(const model::Product& op, backend::View out, const weights::StepWeights& weights);
    void run_hand_on(const model::HandOn& op, backend::View out);
    void run_attend(const model::Attend& op, const backend::Produced& out);
    void run_scan(const model::Scan& op, backend::View out);
    void run_chain(const model::Chain& op, const backend::Produced& out);

    backend::View operand(const model::Value& value) const;
    backend::View local(const model::Value& value, plan::Form form) const;
    /// Where a step leaves the input of products.
    backend::Produced produced(const plan::Instruction& instruction, const model::Value& value) const;
    backend::Norm norm(const model::Norm& norm, std::int64_t cols, std::int64_t n_slices) const;
    backend::View optional(const model::Value& value) const {
        return value.present() ? plain(value) : backend::View{};
    }

    const plan::PassPlan& plan_;
    const plan::StagePlan& stage_;
    backend::Backend& backend_;
    Delivery& delivery_;
    Observation& observation_;
    const weights::Unit& unit_;
    const Line& line_;
    const std::vector<PartRows>& parts_;
    const Group& group_;
    const backend::Buffer& arena_;
};

}  // namespace assay::engine
