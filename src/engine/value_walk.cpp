#include "engine/value_walk.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "core/error.h"
#include "model/visit.h"

namespace assay::engine {

namespace {

/// How an instruction takes a value.
enum class Need : std::uint8_t {
    Operand,  ///< as the input of products
    F32,
    Activation,  ///< the type of products' results
    Either,
};

struct Use {
    model::Value value{};
    Need need = Need::F32;
};

bool decides(Activation activation) {
    return activation == Activation::Exp || activation == Activation::Softplus;
}

Need chain_need(const model::Chain& chain) {
    return std::ranges::any_of(chain.links, [](const model::Link& link) { return decides(link.activation); })
               ? Need::F32
               : Need::Either;
}

/// The need of the values that a step reads beside its out.
Need need_of(const model::Operation& operation) {
    if (const auto* product = std::get_if<model::Product>(&operation))
        return product->precise ? Need::F32 : Need::Operand;
    if (std::holds_alternative<model::GatedProduct>(operation)) return Need::Operand;
    if (std::holds_alternative<model::Attend>(operation)) return Need::Activation;
    if (std::holds_alternative<model::CopyHeads>(operation)) return Need::Either;
    if (const auto* chain = std::get_if<model::Chain>(&operation)) return chain_need(*chain);
    return Need::F32;
}

/// Operations that leave their result as the input of products at once.
bool produces(const model::Operation& operation) {
    return std::holds_alternative<model::Normalise>(operation) ||
           std::holds_alternative<model::GatedProduct>(operation) ||
           std::holds_alternative<model::Attend>(operation) ||
           std::holds_alternative<model::Chain>(operation);
}

/// Operations whose result may be f32 or activations; that of others is f32.
bool is_flexible(const model::Operation& operation) {
    const auto* product = std::get_if<model::Product>(&operation);
    return (product != nullptr && !product->precise) || std::holds_alternative<model::CopyHeads>(operation) ||
           std::holds_alternative<model::Chain>(operation);
}

/// What an instruction reads; an out that is updated comes last.
std::vector<Use> uses_of(const StagePlan& stage, const Instruction& instruction) {
    switch (instruction.kind) {
        case Instruction::Kind::Compare: return {{instruction.x, Need::F32}, {instruction.y, Need::F32}};
        case Instruction::Kind::Observe:
            return {{instruction.x, instruction.y.present() ? Need::F32 : Need::Either}};
        case Instruction::Kind::Step: break;
    }
    const model::Step& step = stage.stage->steps[instruction.step];
    std::vector<Use> uses;
    const Need need = need_of(step.operation);
    for (const model::Value& value : model::inputs(step)) uses.push_back({value, need});
    if (const auto* attend = std::get_if<model::Attend>(&step.operation))
        if (attend->chosen.present()) uses.back().need = Need::F32;
    if (model::updates(step.operation))
        uses.back().need =
            std::holds_alternative<model::TurnHeads>(step.operation) ? Need::Either : Need::F32;
    return uses;
}

model::Value written_by(const StagePlan& stage, const Instruction& instruction) {
    if (instruction.kind == Instruction::Kind::Step) return stage.stage->steps[instruction.step].out;
    return instruction.kind == Instruction::Kind::Observe ? instruction.y : model::Value{};
}

bool same(const model::Value& a, const model::Value& b) {
    return a.id == b.id && a.first == b.first && a.cols == b.cols;
}

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
        assign_slots();
        for (std::size_t s = 0; s < result_.stages.size(); ++s) place_locals(s);
        return std::move(result_);
    }

  private:
    void list_steps();
    void find_uses();
    void observe(StagePlan& stage);
    void collect(const StagePlan& stage, std::size_t from, const model::Value& x,
                 Instruction& producer) const;
    void mark_plain();
    void assign_slots();
    void place_locals(std::size_t index);
    backend::DType type_of(std::int32_t value) const;

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
    const auto add = [&](const model::Stage& stage, std::int64_t layer) {
        StagePlan& plan = result_.stages.emplace_back();
        plan.stage = &stage;
        plan.layer = layer;
        for (std::size_t i = 0; i < stage.steps.size(); ++i)
            plan.instructions.push_back({.kind = Instruction::Kind::Step, .step = i});
    };
    add(program_.start, -1);
    for (const model::Layer& layer : program_.layers)
        for (const model::Stage& stage : layer.stages) add(stage, layer.index);
    add(program_.head, static_cast<std::int64_t>(program_.layers.size()));
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
    Facts& final = facts_[static_cast<std::size_t>(program_.final.id)];
    final.f32 = final.plain = true;
}

backend::DType Walk::type_of(std::int32_t value) const {
    const Facts& facts = facts_[static_cast<std::size_t>(value)];
    if (facts.activation && (facts.f32 || !facts.flexible))
        throw_error(ErrorKind::Internal, program_.architecture,
                    "value {} is needed in f32 and as products leave it",
                    values_[static_cast<std::size_t>(value)].name);
    return facts.f32 || !facts.flexible ? backend::DType::F32 : types_.activation;
}

/// Adds the weights that take x from instruction `from` on, until x changes.
void Walk::collect(const StagePlan& stage, std::size_t from, const model::Value& x,
                   Instruction& producer) const {
    // Products outside of layers are computed and not collected.
    const bool in_layer = stage.layer >= 0 && stage.layer < static_cast<std::int64_t>(program_.layers.size());
    for (std::size_t i = from; i < stage.instructions.size(); ++i) {
        const Instruction& next = stage.instructions[i];
        if (next.kind != Instruction::Kind::Step) continue;
        const model::Step& step = stage.stage->steps[next.step];
        if (const model::ObservedInput input = model::observed_input(step.operation);
            input.x.present() && same(input.x, x)) {
            if (in_layer)
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
                if (step.out.id == program_.final.id && !options_.observed_output.empty() &&
                    options_.observed_output == program_.output.linear.weight.name)
                    instruction.observed.push_back(options_.observed_output);
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

/// Values that outlive a stage, or that experts take, share slots one after another.
void Walk::assign_slots() {
    const std::size_t head = result_.stages.size() - 1;
    std::vector<std::size_t> free_from;  // by slot: the stage from which it may be taken
    result_.slot_of.assign(values_.size(), -1);
    std::vector<std::size_t> order;
    for (std::size_t v = 0; v < values_.size(); ++v) {
        const auto [first, last] = result_.lifetimes[v];
        if (first < last && last <= head) order.push_back(v);
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t v) { return result_.lifetimes[v].first; });
    for (const std::size_t v : order) {
        const Slot wanted{values_[v].cols, type_of(static_cast<std::int32_t>(v))};
        const auto [first, last] = result_.lifetimes[v];
        std::size_t slot = 0;
        while (slot < result_.slots.size() &&
               (result_.slots[slot].cols != wanted.cols || result_.slots[slot].type != wanted.type ||
                free_from[slot] > first))
            ++slot;
        if (slot == result_.slots.size()) {
            result_.slots.push_back(wanted);
            free_from.push_back(0);
        }
        free_from[slot] = last + 1;
        result_.slot_of[v] = static_cast<std::int32_t>(slot);
    }
}

/// First fit over the instructions that a local spans.
void Walk::place_locals(std::size_t index) {
    StagePlan& stage = result_.stages[index];
    struct Span {
        Local local;
        std::size_t first = 0, last = 0;
        std::int64_t bytes() const {
            const std::int64_t size = local.value.cols * backend::size_of(local.type);
            return (size + 63) / 64 * 64;
        }
    };
    std::vector<Span> spans;
    const auto touch = [&](const model::Value& value, Form form, std::size_t at) {
        const auto found = std::ranges::find_if(spans, [&](const Span& span) {
            return span.local.form == form &&
                   (form == Form::Plain ? span.local.value.id == value.id : same(span.local.value, value));
        });
        if (found != spans.end()) {
            found->last = at;
            return;
        }
        const auto id = static_cast<std::size_t>(value.id);
        const model::Value whole = form == Form::Plain ? model::Value{value.id, 0, values_[id].cols} : value;
        const backend::DType type = form == Form::Plain ? type_of(value.id) : types_.operand;
        spans.push_back({{whole, form, type, 0}, at, at});
    };
    const auto touch_plain = [&](const model::Value& value, std::size_t at) {
        if (result_.slot_of[static_cast<std::size_t>(value.id)] < 0) touch(value, Form::Plain, at);
    };
    for (std::size_t i = 0; i < stage.instructions.size(); ++i) {
        const Instruction& instruction = stage.instructions[i];
        for (const Use& use : uses_of(stage, instruction))
            if (use.need == Need::Operand)
                touch(use.value, Form::Operand, i);
            else
                touch_plain(use.value, i);
        const model::Value out = written_by(stage, instruction);
        const bool is_step = instruction.kind == Instruction::Kind::Step;
        if (instruction.operand) touch(is_step ? out : instruction.x, Form::Operand, i);
        if (!out.present()) continue;
        if (!is_step || instruction.plain || !produces(stage.stage->steps[instruction.step].operation))
            touch_plain(out, i);
    }
    // The scored rows are taken from it after the head's last step.
    if (index + 1 == result_.stages.size()) touch_plain(program_.final, stage.instructions.size());
    for (std::size_t i = 0; i < spans.size(); ++i) {
        Span& span = spans[i];
        bool moved = true;
        while (moved) {
            moved = false;
            for (std::size_t j = 0; j < i; ++j) {
                const Span& other = spans[j];
                const bool together = other.first <= span.last && span.first <= other.last;
                const std::int64_t begin = span.local.offset_bytes, other_begin = other.local.offset_bytes;
                if (together && begin < other_begin + other.bytes() && other_begin < begin + span.bytes()) {
                    span.local.offset_bytes = other_begin + other.bytes();
                    moved = true;
                }
            }
        }
        stage.bytes_per_row = std::max(stage.bytes_per_row, span.local.offset_bytes + span.bytes());
        stage.locals.push_back(span.local);
    }
}

}  // namespace

WalkedValues walk_values(const model::Program& program, const WorkingTypes& types,
                         const PassOptions& options) {
    return Walk(program, types, options).run();
}

}  // namespace assay::engine
