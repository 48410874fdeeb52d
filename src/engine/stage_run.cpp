#include "engine/stage_run.h"

#include "core/error.h"
#include "engine/similarity.h"

namespace assay::engine {

StageRun::StageRun(const plan::PassPlan& plan, const plan::StagePlan& stage, backend::Backend& backend,
                   Delivery& delivery, Observation& observation, const weights::Unit& unit, const Line& line,
                   const std::vector<PartRows>& parts, const Group& group, const backend::Buffer& arena)
    : plan_(plan),
      stage_(stage),
      backend_(backend),
      delivery_(delivery),
      observation_(observation),
      unit_(unit),
      line_(line),
      parts_(parts),
      group_(group),
      arena_(arena) {}

void StageRun::run() {
    for (const plan::Instruction& instruction : stage_.instructions) run(instruction);
}

void StageRun::run(const plan::Instruction& instruction) {
    switch (instruction.kind) {
        case plan::Instruction::Kind::Step:
            return run(stage_.stage->steps[instruction.step], instruction, unit_.steps[instruction.step]);
        case plan::Instruction::Kind::Observe:
            return backend_.observe(plain(instruction.x), group_.rows, produced(instruction, instruction.x));
        case plan::Instruction::Kind::Compare:
            return compare_rows(backend_, delivery_, instruction.similarity, instruction.layer, group_,
                                plain(instruction.x), plain(instruction.y));
    }
}

void StageRun::run(const model::Step& step, const plan::Instruction& instruction,
                   const weights::StepWeights& weights) {
    const backend::Rows rows = group_.rows;
    const auto out = [&] { return plain(step.out); };
    const auto leaves = [&] { return produced(instruction, step.out); };
    struct Body {
        StageRun& run;
        const decltype(rows)& r;
        const decltype(out)& to;
        const decltype(leaves)& produce;
        const weights::StepWeights& w;

        void operator()(const model::Lookup& op) const {
            run.line_.tables.embed(run.backend_, op, run.parts_[static_cast<std::size_t>(run.stage_.ahead)],
                                   run.group_, to());
        }
        void operator()(const model::Normalise& op) const {
            run.backend_.norm(run.plain(op.x), run.norm(op.norm, op.x.cols, op.n_slices), r, produce());
        }
        void operator()(const model::Product& op) const { run.run_product(op, to(), w); }
        void operator()(const model::GatedProduct& op) const {
            run.backend_.gated_linear(run.operand(op.x), *w.matrices.front(), w.bias_data(), op.function, r,
                                      produce());
        }
        void operator()(const model::TurnHeads& op) const {
            backend::Rope rope{op.rope.pairing, run.unit_.vector(op.rope.frequencies),
                               op.rope.n_rot(), op.rope.magnitude,
                               op.first,        op.backwards};
            run.backend_.rotate_heads(to(), op.n_heads, run.norm(op.norm, to().cols, op.n_heads),
                                      op.norm_last, rope, r);
        }
        void operator()(const model::HandOn& op) const { run.run_hand_on(op, to()); }
        void operator()(const model::CopyHeads& op) const {
            run.backend_.copy_heads(run.plain(op.x),
                                    {op.n_heads, op.first, op.count, op.out_first, op.spread}, to());
        }
        void operator()(const model::Attend& op) const { run.run_attend(op, produce()); }
        void operator()(const model::Pool& op) const {
            run.backend_.pool({run.plain(op.x), run.optional(op.gate), run.unit_.vector(op.bias),
                               op.block_tokens, op.overlapping},
                              r, to());
        }
        void operator()(const model::Select& op) const {
            run.backend_.select({run.plain(op.q), run.plain(op.k), run.optional(op.weights), op.n_heads,
                                 op.block_tokens, op.n_chosen, op.tail},
                                r, to());
        }
        void operator()(const model::Convolve& op) const {
            run.backend_.convolve({run.plain(op.x), run.unit_.vector(op.weight), run.unit_.vector(op.bias),
                                   op.kernel, op.dilation, op.activation},
                                  r, to());
        }
        void operator()(const model::Scan& op) const { run.run_scan(op, to()); }
        void operator()(const model::SelectiveScan& op) const {
            run.backend_.selective_scan({run.plain(op.x), run.plain(op.dt), run.plain(op.b), run.plain(op.c),
                                         run.unit_.vector(op.a), run.unit_.vector(op.d)},
                                        r, to());
        }
        void operator()(const model::Chain& op) const { run.run_chain(op, produce()); }
        void operator()(const model::Mix& op) const {
            run.backend_.mix(run.plain(op.x), run.plain(op.coefficients), op.n_in, op.n_out, op.adds, to());
        }
        void operator()(const model::Reduce& op) const {
            run.backend_.reduce(run.plain(op.x), op.kind, op.n_slices, to());
        }
        void operator()(const model::Softmax& op) const {
            run.backend_.softmax(run.plain(op.x), op.n_slices, to());
        }
        void operator()(const model::Sinkhorn& op) const {
            run.backend_.sinkhorn(run.plain(op.x), op.n, op.iterations, op.eps, to());
        }
        void operator()(const model::Add& op) const {
            run.backend_.add(run.plain(op.x), run.norm(op.norm, op.x.cols, 1), op.scale, to());
        }
        void operator()(const model::Experts&) const {
            throw Error(ErrorKind::Internal, "", "experts are a stage of their own");
        }
    };
    std::visit(Body{*this, rows, out, leaves, weights}, step.operation);
}

void StageRun::run_product(const model::Product& op, backend::View out, const weights::StepWeights& weights) {
    const backend::View x = op.precise ? plain(op.x) : operand(op.x);
    const std::int64_t n_in = x.cols / op.n_heads, width = out.cols / op.n_heads;
    const std::int64_t n_out = op.linears.size() == 1 ? op.linears.front().weight.n_out : width;
    for (std::int64_t h = 0; h < op.n_heads; ++h)
        backend_.linear(x.col_range(h * n_in, n_in), *weights.matrices[static_cast<std::size_t>(h)],
                        weights.bias ? weights.bias_data() + h * n_out : nullptr, op.adds,
                        out.col_range(h * width, n_out));
}

/// Chunks of the part before have one row more, whose token none follows.
void StageRun::run_hand_on(const model::HandOn& op, backend::View out) {
    const auto slot = static_cast<std::size_t>(plan_.slot_of(op.x.id));
    const backend::View x = line_.slots.at(slot).view.col_range(op.x.first, op.x.cols);
    const backend::Rows& before = parts_[static_cast<std::size_t>(stage_.ahead - 1)].all;
    for (std::int64_t chunk = 0; chunk < group_.rows.n_chunks; ++chunk) {
        const std::int64_t rows = group_.rows.tokens(chunk);
        if (rows > 0)
            backend_.copy_heads(x.row_range(before.first_row(group_.first_chunk + chunk), rows),
                                {.n_heads = 1, .count = x.cols},
                                out.row_range(group_.rows.first_row(chunk), rows));
    }
}

void StageRun::run_attend(const model::Attend& op, const backend::Produced& out) {
    backend::AttentionArgs args;
    args.q = plain(op.q);
    args.k = plain(op.k);
    args.v = plain(op.v);
    args.n_heads = op.n_heads;
    args.n_kv_heads = op.n_kv_heads;
    args.head_dim = op.head_dim;
    args.value_dim = op.value_dim;
    args.scale = op.scale;
    args.soft_cap = op.soft_cap;
    args.causal = op.causal;
    args.window = op.window;
    args.window_kind = op.window_kind;
    args.query_scale = unit_.vector(op.query_scale);
    args.sinks = unit_.vector(op.sinks);
    args.slopes = unit_.vector(op.slopes);
    args.block_k = optional(op.block_k);
    args.block_v = optional(op.block_v);
    args.block_tokens = op.block_tokens;
    args.chosen = optional(op.chosen);
    args.chosen_tokens = op.chosen_tokens;
    backend_.attention(args, group_.rows, out);
}

void StageRun::run_scan(const model::Scan& op, backend::View out) {
    backend::ScanArgs args;
    args.kind = op.kind;
    args.q = plain(op.q);
    args.k = plain(op.k);
    args.v = plain(op.v);
    args.decay = optional(op.decay);
    args.constant_decay = unit_.vector(op.constant_decay);
    args.beta = optional(op.beta);
    args.a = optional(op.a);
    args.b = optional(op.b);
    args.bonus = unit_.vector(op.bonus);
    args.n_heads = op.n_heads;
    args.n_key_heads = op.n_key_heads;
    args.key_dim = op.key_dim;
    args.value_dim = op.value_dim;
    args.interleaved = op.interleaved;
    args.scale = op.scale;
    backend_.scan(args, group_.rows, out);
}

void StageRun::run_chain(const model::Chain& op, const backend::Produced& out) {
    std::vector<backend::Link> links;
    for (const model::Link& link : op.links) {
        backend::Link made;
        made.kind = link.kind;
        made.activation = link.activation;
        made.a = link.a;
        made.b = link.b;
        made.view = optional(link.value);
        made.vector = unit_.vector(link.vector);
        made.n = link.value.present() ? link.value.cols : link.vector.size;
        made.tiled = link.tiled;
        made.previous = link.previous;
        links.push_back(made);
    }
    backend_.chain(plain(op.x), links, group_.rows, out);
}

backend::View StageRun::local(const model::Value& value, plan::Form form) const {
    for (const plan::Local& local : stage_.locals) {
        const bool found = local.form == form && local.value.id == value.id &&
                           (form == plan::Form::Plain ||
                            (local.value.first == value.first && local.value.cols == value.cols));
        if (!found) continue;
        const std::int64_t rows = group_.rows.count();
        return {arena_.data() + local.offset_bytes * rows, local.type, rows, local.value.cols,
                local.value.cols};
    }
    throw_error(ErrorKind::Internal, plan_.program().architecture, "value {} has no place in its stage",
                value.id);
}

backend::View StageRun::plain(const model::Value& value) const {
    const std::int32_t slot = plan_.slot_of(value.id);
    const backend::View whole = slot >= 0 ? group_.of(line_.slots[static_cast<std::size_t>(slot)].view)
                                          : local(value, plan::Form::Plain);
    return whole.col_range(value.first, value.cols);
}

backend::View StageRun::operand(const model::Value& value) const { return local(value, plan::Form::Operand); }

backend::Produced StageRun::produced(const plan::Instruction& instruction, const model::Value& value) const {
    backend::Produced out;
    if (instruction.operand) out.operand = operand(value);
    if (instruction.plain)
        out.plain = plain(instruction.kind == plan::Instruction::Kind::Observe ? instruction.y : value);
    if (!instruction.observed.empty())
        out.sums = observation_.expect(instruction.observed, value.cols, group_.chunks, group_.rows);
    return out;
}

backend::Norm StageRun::norm(const model::Norm& norm, std::int64_t cols, std::int64_t n_slices) const {
    return {norm.kind,
            unit_.vector(norm.weight),
            unit_.vector(norm.bias),
            norm.eps,
            n_slices,
            n_slices > 1 && norm.weight.size * n_slices == cols};
}

}  // namespace assay::engine
