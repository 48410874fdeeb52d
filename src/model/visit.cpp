#include "model/visit.h"

namespace assay::model {

namespace {

template <typename... Bodies> struct Overloaded : Bodies... { using Bodies::operator()...; };
template <typename... Bodies> Overloaded(Bodies...) -> Overloaded<Bodies...>;

void add(std::vector<const Linear*>& found, const Linear& linear) {
    if (linear.present()) found.push_back(&linear);
}

void add_all(std::vector<const Linear*>& found, const std::vector<Linear>& linears) {
    for (const Linear& linear : linears) add(found, linear);
}

void add_norm(std::vector<const Vector*>& found, const Norm& norm) {
    found.push_back(&norm.weight);
    found.push_back(&norm.bias);
}

}  // namespace

const char* name_of(const Operation& operation) {
    return std::visit(Overloaded{
                          [](const Lookup&) { return "lookup"; },
                          [](const Normalise&) { return "normalise"; },
                          [](const Product&) { return "product"; },
                          [](const GatedProduct&) { return "gated product"; },
                          [](const TurnHeads&) { return "turn heads"; },
                          [](const HandOn&) { return "hand on"; },
                          [](const CopyHeads&) { return "copy heads"; },
                          [](const Attend&) { return "attend"; },
                          [](const Pool&) { return "pool"; },
                          [](const Select&) { return "select"; },
                          [](const Convolve&) { return "convolve"; },
                          [](const Scan&) { return "scan"; },
                          [](const SelectiveScan&) { return "selective scan"; },
                          [](const Chain&) { return "chain"; },
                          [](const Mix&) { return "mix"; },
                          [](const Reduce&) { return "reduce"; },
                          [](const Softmax&) { return "softmax"; },
                          [](const Sinkhorn&) { return "sinkhorn"; },
                          [](const Add&) { return "add"; },
                          [](const Experts&) { return "experts"; },
                      },
                      operation);
}

bool updates(const Operation& operation) {
    return std::visit(Overloaded{
                          [](const Product& op) { return op.adds; },
                          [](const Mix& op) { return op.adds; },
                          [](const TurnHeads&) { return true; },
                          [](const Add&) { return true; },
                          [](const Experts& op) { return op.adds; },
                          [](const auto&) { return false; },
                      },
                      operation);
}

std::vector<Value> inputs(const Step& step) {
    std::vector<Value> found;
    const auto add_value = [&](const Value& value) {
        if (value.present()) found.push_back(value);
    };
    std::visit(Overloaded{
                   [](const Lookup&) {},
                   [](const TurnHeads&) {},
                   [&](const Attend& op) {
                       for (const Value& value : {op.q, op.k, op.v, op.block_k, op.block_v, op.chosen})
                           add_value(value);
                   },
                   [&](const Pool& op) {
                       for (const Value& value : {op.x, op.gate}) add_value(value);
                   },
                   [&](const Select& op) {
                       for (const Value& value : {op.q, op.k, op.weights}) add_value(value);
                   },
                   [&](const Scan& op) {
                       for (const Value& value : {op.q, op.k, op.v, op.decay, op.beta, op.a, op.b})
                           add_value(value);
                   },
                   [&](const SelectiveScan& op) {
                       found = {op.x, op.dt, op.b, op.c};
                   },
                   [&](const Chain& op) {
                       found = {op.x};
                       for (const Link& link : op.links) add_value(link.value);
                   },
                   [&](const Mix& op) {
                       found = {op.x, op.coefficients};
                   },
                   [&](const Experts& op) {
                       found = {op.x, op.logits};
                   },
                   [&](const auto& op) { found = {op.x}; },
               },
               step.operation);
    if (updates(step.operation)) found.push_back(step.out);
    return found;
}

std::vector<const Linear*> linears(const Operation& operation) {
    std::vector<const Linear*> found;
    std::visit(Overloaded{
                   [&](const Product& op) { add_all(found, op.linears); },
                   [&](const GatedProduct& op) { add_all(found, op.gate_up); },
                   [&](const Experts& op) {
                       for (const Linear* linear : {&op.gate, &op.up, &op.down}) add(found, *linear);
                   },
                   [](const auto&) {},
               },
               operation);
    return found;
}

std::vector<const Stage*> collected_stages(const Program& program) {
    std::vector<const Stage*> found;
    for (const Layer& layer : program.layers)
        for (const Stage& stage : layer.stages) found.push_back(&stage);
    for (const NextN& block : program.nextn)
        for (const Stage& stage : block.stages) found.push_back(&stage);
    return found;
}

std::vector<const Vector*> vectors(const Operation& operation) {
    std::vector<const Vector*> found;
    for (const Linear* linear : linears(operation)) found.push_back(&linear->bias);
    std::visit(Overloaded{
                   [&](const Normalise& op) { add_norm(found, op.norm); },
                   [&](const Add& op) { add_norm(found, op.norm); },
                   [&](const TurnHeads& op) {
                       add_norm(found, op.norm);
                       found.push_back(&op.rope.frequencies);
                   },
                   [&](const Attend& op) {
                       for (const Vector* vector : {&op.query_scale, &op.sinks, &op.slopes})
                           found.push_back(vector);
                   },
                   [&](const Pool& op) { found.push_back(&op.bias); },
                   [&](const Convolve& op) {
                       found.push_back(&op.weight);
                       found.push_back(&op.bias);
                   },
                   [&](const Scan& op) {
                       found.push_back(&op.constant_decay);
                       found.push_back(&op.bonus);
                   },
                   [&](const SelectiveScan& op) {
                       found.push_back(&op.a);
                       found.push_back(&op.d);
                   },
                   [&](const Chain& op) {
                       for (const Link& link : op.links) found.push_back(&link.vector);
                   },
                   [&](const Experts& op) { found.push_back(&op.router.selection_bias); },
                   [](const auto&) {},
               },
               operation);
    return found;
}

ObservedInput observed_input(const Operation& operation) {
    if (const auto* product = std::get_if<Product>(&operation))
        return {product->x, linears(operation), product->n_heads, product->precise};
    if (const auto* product = std::get_if<GatedProduct>(&operation))
        return {product->x, linears(operation), 1, false};
    return {};
}

}  // namespace assay::model
