#include "oracle/oracle.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "model/visit.h"

namespace assay::oracle {

namespace {

/// A choice of keys depends on the last bits of scores, so that a reference in double would choose others.
[[noreturn]] void refuse_choice() {
    throw Error(ErrorKind::Unsupported, "oracle", "models that choose among keys are not followed");
}

/// The first of them.
Table rows(const Table& x, std::int64_t count) {
    Table y(count, x.cols);
    std::copy_n(x.values.begin(), y.values.size(), y.values.begin());
    return y;
}

void add(const Table& x, double scale, Table& to) {
    for (std::size_t i = 0; i < x.values.size(); ++i) to.values[i] += scale * x.values[i];
}

Table copy_heads(const model::CopyHeads& op, const Table& x, Table out) {
    const std::int64_t from = op.spread ? 0 : x.cols / op.n_heads, to = out.cols / op.n_heads;
    for (std::int64_t h = 0; h < op.n_heads; ++h)
        place(columns(x, h * from + op.first, op.count), h * to + op.out_first, out);
    return out;
}

}  // namespace

Oracle::Oracle(const model::Program& program, const gguf::File& file) : program_(program), tensors_(file) {}

Table Oracle::get(const model::Value& value) const {
    if (!value.present()) return {};
    return columns(values_[static_cast<std::size_t>(value.id)], value.first, value.cols);
}

void Oracle::put(const model::Value& value, const Table& from) {
    place(from, value.first, values_[static_cast<std::size_t>(value.id)]);
}

void Oracle::observe(const model::Linear& linear, const Table& x, std::int64_t matrix,
                     std::int64_t n_matrices) {
    test::Energy& energy = matrix_[linear.weight.name];
    energy.sums.resize(static_cast<std::size_t>(x.cols * n_matrices));
    energy.counts.resize(static_cast<std::size_t>(n_matrices));
    energy.counts[static_cast<std::size_t>(matrix)] += static_cast<double>(x.rows);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < x.cols; ++c)
            energy.sums[static_cast<std::size_t>(matrix * x.cols + c)] += x.at(r, c) * x.at(r, c);
}

std::int64_t Oracle::table_row(const model::Lookup& op, std::int64_t position) const {
    if (op.row == model::Lookup::Row::Position) return position;
    if (op.row == model::Lookup::Row::Token) return tokens_[static_cast<std::size_t>(position)];
    std::uint64_t mixed = 0;
    std::int64_t from = position;  // -1: what is further back counts as an end
    for (const std::uint64_t multiplier : op.ngram.multipliers) {
        const std::int32_t token = from < 0 ? op.ngram.end : tokens_[static_cast<std::size_t>(from)];
        if (from < position && token == op.ngram.end) from = 0;
        mixed ^= multiplier * static_cast<std::uint64_t>(token);
        --from;
    }
    return op.ngram.first_row +
           static_cast<std::int64_t>(mixed % static_cast<std::uint64_t>(op.ngram.n_rows));
}

Table Oracle::lookup(const model::Lookup& op, std::int64_t cols) const {
    const Numbers& table = tensors_.get(op.table.name);
    Table y(static_cast<std::int64_t>(tokens_.size()), cols);
    for (std::int64_t r = 0; r < y.rows; ++r) {
        const std::int64_t row = table_row(op, r);
        for (std::int64_t c = 0; c < cols; ++c)
            y.at(r, c) = static_cast<double>(op.scale) * at(table, row * op.table.n_in + op.first + c);
    }
    return y;
}

Table Oracle::product(const model::Product& op, const model::Value& out) {
    const Table x = get(op.x);
    Table y = get(out);
    if (!op.adds) std::ranges::fill(y.values, 0.0);
    for (const model::Linear& linear : op.linears) observe(linear, x);
    std::int64_t first = 0;
    for (const model::Linear& linear : op.linears)
        for (std::int64_t h = 0; h < op.n_heads; ++h) {
            const std::int64_t width = x.cols / op.n_heads;
            const Table part = tensors_.product(columns(x, h * width, width), linear, h);
            Table sum = columns(y, first, part.cols);
            add(part, 1, sum);
            place(sum, first, y);
            first += op.n_heads > 1 ? out.cols / op.n_heads : part.cols;
        }
    return y;
}

Table Oracle::gated_product(const model::GatedProduct& op) {
    const Table x = get(op.x);
    for (const model::Linear& linear : op.gate_up) observe(linear, x);
    const Table first = tensors_.product(x, op.gate_up.front(), 0);
    const bool fused = op.gate_up.size() == 1;
    const std::int64_t ffn = fused ? first.cols / 2 : first.cols;
    const Table up = fused ? columns(first, ffn, ffn) : tensors_.product(x, op.gate_up.back(), 0);
    Table y(x.rows, ffn);
    for (std::int64_t r = 0; r < y.rows; ++r)
        for (std::int64_t c = 0; c < ffn; ++c) y.at(r, c) = gate(op.function, first.at(r, c), up.at(r, c));
    return y;
}

Table Oracle::scan(const model::Scan& op) const {
    return oracle::scan({get(op.q), get(op.k), get(op.v), get(op.decay), get(op.beta), get(op.a), get(op.b)},
                        op, tensors_);
}

Table Oracle::chain(const model::Chain& op) const {
    std::vector<Operand> operands;
    for (const model::Link& link : op.links)
        operands.push_back({get(link.value), tensors_.vector(link.vector)});
    return oracle::chain(get(op.x), op.links, operands);
}

Table Oracle::mixed(const model::Mix& op, const model::Value& out) const {
    Table y = get(out);
    if (!op.adds) std::ranges::fill(y.values, 0.0);
    mix(get(op.x), get(op.coefficients), op, y);
    return y;
}

Table Oracle::expert(const model::Experts& op, std::int64_t expert, const Table& x) {
    const std::int64_t n = op.router.n_experts;
    for (const model::Linear* linear : {&op.gate, &op.up})
        if (linear->present()) observe(*linear, x, expert, n);
    const Table up = tensors_.product(x, op.up, expert);
    if (!op.down.present()) return up;
    const std::int64_t ffn = op.fused ? up.cols / 2 : up.cols;
    const Table gates = op.gate.present() ? tensors_.product(x, op.gate, expert) : up;
    Table inner(x.rows, ffn);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < ffn; ++c)
            inner.at(r, c) = op.gate.present() || op.fused
                                 ? gate(op.function, gates.at(r, c), up.at(r, op.fused ? ffn + c : c))
                                 : activate(op.function.activation, up.at(r, c));
    observe(op.down, inner, expert, n);
    return tensors_.product(inner, op.down, expert);
}

std::vector<std::vector<Oracle::Visit>> Oracle::visits(const model::Experts& op) {
    const Table logits = get(op.logits);
    const Numbers bias = tensors_.vector(op.router.selection_bias);
    std::vector<std::vector<Visit>> of_expert(static_cast<std::size_t>(op.router.n_experts));
    for (std::int64_t r = 0; r < logits.rows; ++r) {
        std::vector<std::int64_t> given;
        for (std::int64_t i = 0; op.router.lookup.present() && i < op.router.n_used; ++i)
            given.push_back(tensors_.integer(op.router.lookup.name,
                                             tokens_[static_cast<std::size_t>(r)] * op.router.n_used + i));
        const auto first = logits.values.begin() + r * logits.cols;
        const std::span<const double> row(first, first + logits.cols);
        if (given.empty()) least_margin_ = std::min(least_margin_, margin(row, op.router, bias));
        for (const Choice& choice : route(row, op.router, bias, given))
            of_expert[static_cast<std::size_t>(choice.expert)].push_back({r, choice.weight});
    }
    return of_expert;
}

Table Oracle::experts(const model::Experts& op, const model::Value& out) {
    const Table x = get(op.x);
    Table y = get(out);
    if (!op.adds) std::ranges::fill(y.values, 0.0);
    std::int64_t index = 0;
    for (const std::vector<Visit>& rows : visits(op)) {
        Table input(static_cast<std::int64_t>(rows.size()), x.cols);
        for (std::int64_t i = 0; i < input.rows; ++i) {
            const Visit& visit = rows[static_cast<std::size_t>(i)];
            for (std::int64_t c = 0; c < x.cols; ++c)
                input.at(i, c) = x.at(visit.row, c) * (op.weigh_input ? visit.weight : 1);
        }
        const Table answer = expert(op, index++, input);
        for (std::int64_t i = 0; i < input.rows; ++i) {
            const Visit& visit = rows[static_cast<std::size_t>(i)];
            for (std::int64_t c = 0; c < y.cols; ++c)
                y.at(visit.row, c) += answer.at(i, c) * (op.weigh_input ? 1 : visit.weight);
        }
    }
    return y;
}

Table Oracle::result(const model::Step& step) {
    struct Body {
        Oracle& o;
        const model::Value& out;

        Table operator()(const model::Lookup& op) const { return o.lookup(op, out.cols); }
        Table operator()(const model::Normalise& op) const {
            return normalise(o.get(op.x), op.norm, op.n_slices, o.tensors_);
        }
        Table operator()(const model::Product& op) const { return o.product(op, out); }
        Table operator()(const model::GatedProduct& op) const { return o.gated_product(op); }
        Table operator()(const model::TurnHeads& op) const { return turn(o.get(out), op, o.tensors_); }
        Table operator()(const model::HandOn& op) const { return rows(o.get(op.x), std::ssize(o.tokens_)); }
        Table operator()(const model::CopyHeads& op) const { return copy_heads(op, o.get(op.x), o.get(out)); }
        Table operator()(const model::Attend& op) const {
            return attend(o.get(op.q), o.get(op.k), o.get(op.v), op, o.tensors_);
        }
        Table operator()(const model::Convolve& op) const { return convolve(o.get(op.x), op, o.tensors_); }
        Table operator()(const model::Scan& op) const { return o.scan(op); }
        Table operator()(const model::SelectiveScan& op) const {
            return selective_scan(o.get(op.x), o.get(op.dt), o.get(op.b), o.get(op.c), op, o.tensors_);
        }
        Table operator()(const model::Chain& op) const { return o.chain(op); }
        Table operator()(const model::Mix& op) const { return o.mixed(op, out); }
        Table operator()(const model::Reduce& op) const { return reduce(o.get(op.x), op.kind, op.n_slices); }
        Table operator()(const model::Softmax& op) const { return softmax(o.get(op.x), op.n_slices); }
        [[noreturn]] Table operator()(const model::Pool&) const { refuse_choice(); }
        [[noreturn]] Table operator()(const model::Select&) const { refuse_choice(); }
        Table operator()(const model::Sinkhorn& op) const { return sinkhorn(o.get(op.x), op); }
        Table operator()(const model::Add& op) const {
            Table y = o.get(out);
            add(normalise(o.get(op.x), op.norm, 1, o.tensors_), static_cast<double>(op.scale), y);
            return y;
        }
        Table operator()(const model::Experts& op) const { return o.experts(op, out); }
    };
    return std::visit(Body{*this, step.out}, step.operation);
}

void Oracle::run(const model::Stage& stage) {
    for (const model::Step& step : stage.steps) put(step.out, result(step));
}

double Oracle::score(const model::Value& value, const model::Output& output, std::int64_t ahead,
                     std::span<const std::int32_t> targets) const {
    const Table final = get(value);
    const std::int64_t n_ctx = final.rows + ahead, first = n_ctx / 2, count = n_ctx - n_ctx / 2 - 1;
    Table scored(count, final.cols);
    for (std::int64_t r = 0; r < count; ++r)
        for (std::int64_t c = 0; c < final.cols; ++c) scored.at(r, c) = final.at(first - ahead + r, c);
    const Table products = tensors_.product(scored, output.linear, 0);
    const double scale = output.scale, soft_cap = output.soft_cap;
    double loss = 0;
    for (std::int64_t r = 0; r < count; ++r) {
        const auto logit = [&](std::int64_t c) {
            const double number = scale * products.at(r, c);
            return soft_cap > 0 ? soft_cap * std::tanh(number / soft_cap) : number;
        };
        double largest = logit(0), total = 0;
        for (std::int64_t c = 0; c < products.cols; ++c) largest = std::max(largest, logit(c));
        for (std::int64_t c = 0; c < products.cols; ++c) total += std::exp(logit(c) - largest);
        loss += std::log(total) + largest - logit(targets[static_cast<std::size_t>(first + r + 1)]);
    }
    return loss;
}

void Oracle::run_nextn(const model::NextN& block, std::span<const std::int32_t> targets) {
    tokens_ = tokens_.subspan(1);
    const auto make_rows = [&](const model::Stage& stage) {
        for (const model::Step& step : stage.steps) {
            const auto id = static_cast<std::size_t>(step.out.id);
            values_[id] = Table(std::ssize(tokens_), program_.values[id].cols);
        }
    };
    for (const model::Stage& stage : block.stages) make_rows(stage);
    make_rows(block.head);
    for (const model::Stage& stage : block.stages) run(stage);
    const test::Matrix collected = matrix_;
    run(block.head);
    matrix_ = collected;
    const std::string& own = block.output.linear.weight.name;
    if (own != program_.output.linear.weight.name) observe(block.output.linear, get(block.final));
    loss_.at(static_cast<std::size_t>(block.ahead)) += score(block.final, block.output, block.ahead, targets);
}

void Oracle::run(std::span<const std::int32_t> tokens, std::span<const std::int32_t> targets) {
    tokens_ = tokens;
    values_.clear();
    loss_.resize(1 + program_.nextn.size());
    for (const model::ValueInfo& info : program_.values)
        values_.emplace_back(static_cast<std::int64_t>(tokens.size()), info.cols);
    run(program_.start);
    for (const model::Layer& layer : program_.layers)
        for (const model::Stage& stage : layer.stages) run(stage);
    run(program_.head);
    observe(program_.output.linear, get(program_.final));
    loss_.front() += score(program_.final, program_.output, 0, targets);
    n_scored_ += std::ssize(tokens) - std::ssize(tokens) / 2 - 1;
    running_perplexity_.push_back(std::exp(loss_.front() / static_cast<double>(n_scored_)));
    for (const model::NextN& block : program_.nextn) run_nextn(block, targets);
}

}  // namespace assay::oracle
