#include "plan/walk.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "model/visit.h"
#include "plan/places.h"
#include "plan/uses.h"

namespace assay::plan {

namespace {

class Walk {
  public:
    Walk(const model::Program& program, const WorkingTypes& types, const PassOptions& options)
        : program_(program), types_(types), options_(options), values_(program.values) {}

    WalkedValues run() {
        list_steps();
        if (options_.similarity) add_taps(program_, result_.stages, values_);
        find_uses();
        for (StagePlan& stage : result_.stages) observe(stage);
        mark_plain();
        const std::vector<Stored> stored = decide_types();
        assign_slots(result_, stored);
        for (std::size_t s = 0; s < result_.stages.size(); ++s)
            place_locals(result_, s, stored, types_.operand);
        return std::move(result_);
    }

  private:
    void list_steps();
    void find_uses();
    void observe(StagePlan& stage);
    void collect(const StagePlan& stage, std::size_t from, const model::Value& x,
                 Instruction& producer) const;
    void mark_plain();
    std::vector<Stored> decide_types() const;
    /// The projection that observes what a head leaves; empty: none does. The trunk's is asked for, a block's
    /// own is one of its weights; where a block takes the trunk's, that one's sums are the trunk's alone.
    std::string observed_output(const StagePlan& stage) const {
        const std::string& trunk = program_.output.linear.weight.name;
        if (!stage.leaves.present()) return "";
        if (stage.ahead == 0) return options_.observed_output == trunk ? trunk : "";
        const auto block = static_cast<std::size_t>(stage.ahead - 1);
        const std::string& own = program_.nextn[block].output.linear.weight.name;
        return own == trunk ? "" : own;
    }

    struct Facts {
        bool f32 = false;
        bool activation = false;
        bool flexible = false;
        bool plain = false;  ///< somebody takes it as it is
    };

    const model::Program& program_;
    const WorkingTypes types_;
    const PassOptions& options_;
    std::vector<model::ValueInfo> values_;
    std::vector<Facts> facts_;
    WalkedValues result_;
};

void Walk::list_steps() {
    const auto add = [&](const model::Stage& stage, std::int64_t layer, bool observed,
                         std::int64_t ahead) -> StagePlan& {
        StagePlan& plan = result_.stages.emplace_back();
        plan.stage = &stage;
        plan.layer = layer;
        plan.observed = observed;
        plan.ahead = ahead;
        for (std::size_t i = 0; i < stage.steps.size(); ++i)
            plan.instructions.push_back({.kind = Instruction::Kind::Step, .step = i});
        return plan;
    };
    const std::int64_t head = std::ssize(program_.layers);
    add(program_.start, -1, false, 0);
    for (const model::Layer& layer : program_.layers)
        for (const model::Stage& stage : layer.stages) add(stage, layer.index, true, 0);
    add(program_.head, head, options_.observe_head, 0).leaves = program_.final;
    for (const model::NextN& block : program_.nextn) {
        for (const model::Stage& stage : block.stages) add(stage, head + block.ahead, true, block.ahead);
        add(block.head, head + block.ahead, false, block.ahead).leaves = block.final;
    }
}

void Walk::find_uses() {
    facts_.resize(values_.size());
    constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
    result_.lifetimes.assign(values_.size(), {kNever, 0});
    const auto touch = [&](const model::Value& value, std::size_t stage) {
        auto& [first, last] = result_.lifetimes[static_cast<std::size_t>(value.id)];
        first = std::min(first, stage);
        last = std::max(last, stage);
    };
    for (std::size_t s = 0; s < result_.stages.size(); ++s) {
        const StagePlan& stage = result_.stages[s];
        for (const Instruction& instruction : stage.instructions) {
            for (const Use& use : uses_of(stage, instruction)) {
                Facts& facts = facts_[static_cast<std::size_t>(use.value.id)];
                if (result_.lifetimes[static_cast<std::size_t>(use.value.id)].first == kNever)
                    throw_error(ErrorKind::Internal, program_.architecture,
                                "value {} is read before it is written",
                                values_[static_cast<std::size_t>(use.value.id)].name);
                facts.f32 = facts.f32 || use.need == Need::F32;
                facts.activation = facts.activation || use.need == Need::Activation;
                facts.plain = facts.plain || use.need != Need::Operand;
                touch(use.value, s);
            }
            const model::Value out = written_by(stage, instruction);
            if (!out.present()) continue;
            touch(out, s);
            if (instruction.kind == Instruction::Kind::Step &&
                is_flexible(stage.stage->steps[instruction.step].operation))
                facts_[static_cast<std::size_t>(out.id)].flexible = true;
        }
    }
    for (std::size_t s = 0; s < result_.stages.size(); ++s) {
        const model::Value& left = result_.stages[s].leaves;
        if (!left.present()) continue;
        touch(left, s);
        Facts& final = facts_[static_cast<std::size_t>(left.id)];
        final.f32 = final.plain = true;
    }
}

/// Follows from use: f32 unless all who read a value can take what products leave.
std::vector<Stored> Walk::decide_types() const {
    std::vector<Stored> stored;
    for (std::size_t v = 0; v < values_.size(); ++v) {
        const Facts& facts = facts_[v];
        const bool wide = facts.f32 || !facts.flexible;
        if (facts.activation && wide)
            throw_error(ErrorKind::Internal, program_.architecture,
                        "value {} is needed in f32 and as products leave it", values_[v].name);
        stored.push_back({values_[v].cols, wide ? backend::DType::F32 : types_.activation});
    }
    return stored;
}

/// Adds the weights that take x from instruction `from` on, until x changes.
void Walk::collect(const StagePlan& stage, std::size_t from, const model::Value& x,
                   Instruction& producer) const {
    for (std::size_t i = from; i < stage.instructions.size(); ++i) {
        const Instruction& next = stage.instructions[i];
        if (next.kind != Instruction::Kind::Step) continue;
        const model::Step& step = stage.stage->steps[next.step];
        if (const model::ObservedInput input = model::observed_input(step.operation);
            input.x.present() && same(input.x, x)) {
            if (stage.observed)
                for (const model::Linear* linear : input.linears)
                    producer.observed.push_back(linear->weight.name);
            producer.operand = producer.operand || !input.precise;
        }
        if (step.out.id == x.id && model::updates(step.operation)) break;
    }
}

/// Every product finds its input observed, and rounded where it is not precise.
void Walk::observe(StagePlan& stage) {
    std::vector<Instruction> done;
    std::vector<model::Value> ready;  // observed inputs as they are now
    for (std::size_t i = 0; i < stage.instructions.size(); ++i) {
        Instruction instruction = stage.instructions[i];
        const bool is_step = instruction.kind == Instruction::Kind::Step;
        if (is_step) {
            const model::Step& step = stage.stage->steps[instruction.step];
            const model::ObservedInput input = model::observed_input(step.operation);
            if (input.x.present() &&
                std::ranges::none_of(ready, [&](const model::Value& v) { return same(v, input.x); })) {
                Instruction observation{.kind = Instruction::Kind::Observe, .x = input.x};
                collect(stage, i, input.x, observation);
                if (observation.operand || !observation.observed.empty())
                    done.push_back(std::move(observation));
                ready.push_back(input.x);
            }
            if (produces(step.operation)) {
                collect(stage, i + 1, step.out, instruction);
                if (const std::string output = observed_output(stage);
                    !output.empty() && step.out.id == stage.leaves.id)
                    instruction.observed.push_back(output);
                if (const auto* normalise = std::get_if<model::Normalise>(&step.operation))
                    if (const auto other = options_.observed_norms.find(normalise->norm.weight.name);
                        other != options_.observed_norms.end())
                        instruction.observed.push_back(other->second);
                if (instruction.operand || !instruction.observed.empty()) ready.push_back(step.out);
            }
            if (model::updates(step.operation))
                std::erase_if(ready, [&](const model::Value& v) { return v.id == step.out.id; });
        }
        done.push_back(std::move(instruction));
    }
    stage.instructions = std::move(done);
    for (const Instruction& instruction : stage.instructions) {
        if (instruction.observed.empty()) continue;
        const bool is_step = instruction.kind == Instruction::Kind::Step;
        stage.observed_columns += is_step ? written_by(stage, instruction).cols : instruction.x.cols;
    }
}

/// What leaves a producer is kept as it is where an observation or another step takes it so.
void Walk::mark_plain() {
    for (const StagePlan& stage : result_.stages)
        for (const Instruction& instruction : stage.instructions)
            if (instruction.kind == Instruction::Kind::Observe)
                facts_[static_cast<std::size_t>(instruction.x.id)].plain = true;
    for (StagePlan& stage : result_.stages)
        for (Instruction& instruction : stage.instructions)
            if (instruction.kind == Instruction::Kind::Step &&
                produces(stage.stage->steps[instruction.step].operation))
                instruction.plain = facts_[static_cast<std::size_t>(written_by(stage, instruction).id)].plain;
}

}  // namespace

WalkedValues walk_values(const model::Program& program, const WorkingTypes& types,
                         const PassOptions& options) {
    return Walk(program, types, options).run();
}

}  // namespace assay::plan
