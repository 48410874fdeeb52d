#include "plan/places.h"

#include <algorithm>

#include "plan/uses.h"

namespace assay::plan {

void assign_slots(WalkedValues& walked, const std::vector<Stored>& stored) {
    const std::size_t end = walked.stages.size();
    std::vector<std::size_t> free_from;  // by slot: the stage from which it may be taken
    walked.slot_of.assign(stored.size(), -1);
    std::vector<std::size_t> order;
    for (std::size_t v = 0; v < stored.size(); ++v) {
        const auto [first, last] = walked.lifetimes[v];
        if (first < last && last < end) order.push_back(v);
    }
    std::ranges::stable_sort(order, {}, [&](std::size_t v) { return walked.lifetimes[v].first; });
    for (const std::size_t v : order) {
        const Slot wanted{stored[v].cols, stored[v].type};
        const auto [first, last] = walked.lifetimes[v];
        std::size_t slot = 0;
        while (slot < walked.slots.size() &&
               (walked.slots[slot].cols != wanted.cols || walked.slots[slot].type != wanted.type ||
                free_from[slot] > first))
            ++slot;
        if (slot == walked.slots.size()) {
            walked.slots.push_back(wanted);
            free_from.push_back(0);
        }
        free_from[slot] = last + 1;
        walked.slot_of[v] = static_cast<std::int32_t>(slot);
    }
}

void place_locals(WalkedValues& walked, std::size_t index, const std::vector<Stored>& stored,
                  backend::DType operand) {
    StagePlan& stage = walked.stages[index];
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
        const model::Value whole = form == Form::Plain ? model::Value{value.id, 0, stored[id].cols} : value;
        const backend::DType type = form == Form::Plain ? stored[id].type : operand;
        spans.push_back({{whole, form, type, 0}, at, at});
    };
    const auto touch_plain = [&](const model::Value& value, std::size_t at) {
        if (walked.slot_of[static_cast<std::size_t>(value.id)] < 0) touch(value, Form::Plain, at);
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
    if (stage.leaves.present()) touch_plain(stage.leaves, stage.instructions.size());
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

}  // namespace assay::plan
