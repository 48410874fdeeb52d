#include "model/builder.h"

#include <utility>

#include "core/error.h"

namespace assay::model {

Builder::Builder(const gguf::File& file, const std::string& architecture, const BuildOptions& options)
    : options_(options), hp_(file.metadata(), architecture), tensors_(file) {
    program_.architecture = architecture;
    program_.name = std::string(hp_.metadata().find_string("general.name").value_or(""));
    program_.hidden = hp_.hidden();
    program_.context_length = hp_.context_length();
}

std::string Builder::name_of(std::string_view name) const {
    return layer_ < 0 || in_head_ ? std::string(name) : block_name(layer_, name);
}

bool Builder::has(std::string_view name) const { return tensors_.has(name_of(name) + ".weight"); }

Linear Builder::linear(std::string_view name, std::int64_t n_in, std::int64_t n_out,
                       std::int64_t n_matrices) {
    return tensors_.linear(name_of(name), n_in, n_out, n_matrices);
}

Linear Builder::plain_linear(std::string_view name, std::int64_t n_in, std::int64_t n_out) {
    Linear linear;
    linear.weight = tensors_.weight(name_of(name), n_in, n_out);
    return linear;
}

std::int64_t Builder::n_vocab() const {
    return static_cast<std::int64_t>(tensors_.file().get("token_embd.weight").ne[1]);
}

void Builder::use_norms(NormKind kind, bool optional_epsilon) {
    norm_kind_ = kind;
    const std::string_view key =
        kind == NormKind::Layer ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    eps_ = optional_epsilon && !hp_.real(key) ? 0 : hp_.epsilon(key);
}

Norm Builder::norm(std::string_view name, std::int64_t size) {
    return tensors_.norm(name_of(name), norm_kind_, size, eps_);
}

Vector Builder::vector(std::string_view name, std::int64_t size) {
    return tensors_.vector(name_of(name), size);
}

Vector Builder::optional_vector(std::string_view name, std::int64_t size) {
    return tensors_.optional_vector(name_of(name), size);
}

Vector Builder::constant(std::string name, std::vector<float> values) {
    const auto size = static_cast<std::int64_t>(values.size());
    return {std::move(name), size, std::move(values)};
}

Stage& Builder::stage() {
    if (!program_.nextn.empty())
        return in_head_ ? program_.nextn.back().head : program_.nextn.back().stages.back();
    if (in_head_) return program_.head;
    return program_.layers.empty() ? program_.start : program_.layers.back().stages.back();
}

Layer* Builder::current_layer() {
    const bool in_layer = layer_ >= 0 && !in_head_ && program_.nextn.empty();
    return in_layer ? &program_.layers.back() : nullptr;
}

Value Builder::declare(std::int64_t cols, std::string_view name) {
    program_.values.push_back({std::string(name), cols});
    return {static_cast<std::int32_t>(program_.values.size()) - 1, 0, cols};
}

Value Builder::emit(Operation operation, std::int64_t cols, std::string_view name) {
    const Value out = declare(cols, name);
    emit_into(std::move(operation), out);
    return out;
}

void Builder::emit_into(Operation operation, Value out) {
    const bool experts = std::holds_alternative<Experts>(operation);
    if (experts && !stage().steps.empty()) next_stage();
    if (!experts && stage().experts() != nullptr) next_stage();
    if (Layer* layer = current_layer(); layer != nullptr && !layer->input.present())
        // Coefficients that streams are mixed by are products too.
        if (const auto* product = std::get_if<Product>(&operation);
            product != nullptr && !product->precise && product->x.cols == program_.hidden)
            layer->input = product->x;
    stage().steps.push_back({std::move(operation), out});
}

Value Builder::normalise(Value x, Norm norm, std::string_view name, std::int64_t n_slices) {
    return emit(Normalise{x, std::move(norm), n_slices}, x.cols, name);
}

Value Builder::product(Value x, std::vector<Linear> linears, std::string_view name) {
    std::int64_t cols = 0;
    for (const Linear& linear : linears) cols += linear.weight.n_out;
    return emit(Product{x, std::move(linears)}, cols, name);
}

Value Builder::precise_product(Value x, Linear linear, std::string_view name) {
    const std::int64_t cols = linear.weight.n_out;
    return emit(Product{.x = x, .linears = {std::move(linear)}, .precise = true}, cols, name);
}

void Builder::add_product(Value x, Linear linear, Value residual) {
    emit_into(Product{.x = x, .linears = {std::move(linear)}, .adds = true}, residual);
}

void Builder::add(Value x, Norm norm, float scale, Value residual) {
    emit_into(Add{x, std::move(norm), scale}, residual);
}

Value Builder::chain(Value x, std::vector<Link> links, std::string_view name) {
    return emit(Chain{x, std::move(links)}, x.cols, name);
}

Value Builder::heads(Value x, std::int64_t n_heads, std::int64_t first, std::int64_t count,
                     std::string_view name) {
    return emit(CopyHeads{x, n_heads, first, count}, n_heads * count, name);
}

Value Builder::embed(float scale) {
    program_.n_vocab = n_vocab();
    return lookup("token_embd", scale, "x");
}

Value Builder::lookup(const std::string& table, float scale, std::string_view name) {
    return emit(Lookup{.table = tensors_.linear(table, hidden(), n_vocab()).weight, .scale = scale}, hidden(),
                name);
}

void Builder::begin_layer(Value residual, std::int64_t block) {
    layer_ = block;
    const auto index = static_cast<std::int64_t>(program_.layers.size());
    program_.layers.push_back({index, {Stage{}}, {}, {}, residual, residual});
}

void Builder::leave_layer(Value residual) { program_.layers.back().left = residual; }

void Builder::next_stage() {
    (program_.nextn.empty() ? program_.layers.back().stages : program_.nextn.back().stages).emplace_back();
}

void Builder::mark_ffn_input(Value x) {
    if (Layer* layer = current_layer(); layer != nullptr && !layer->ffn_input.present()) layer->ffn_input = x;
}

void Builder::begin_head() { in_head_ = true; }

void Builder::finish(Value residual) {
    begin_head();
    finish_normed(normalise(residual, norm("output_norm"), "final"));
}

void Builder::finish_normed(Value final) {
    begin_head();
    program_.final = final;
    if (has("output"))
        program_.output.linear = linear("output", hidden(), program_.n_vocab);
    else
        program_.output.linear.weight = tensors_.linear("token_embd", hidden(), program_.n_vocab).weight;
}

void Builder::scale_logits(float scale, float soft_cap) {
    program_.output.scale = scale;
    program_.output.soft_cap = soft_cap;
}

std::int64_t Builder::n_nextn() const {
    const bool stored = tensors_.has(block_name(hp_.n_layers(), "nextn.eh_proj.weight"));
    return options_.nextn && stored ? hp_.n_blocks() - hp_.n_layers() : 0;
}

void Builder::begin_nextn() {
    in_head_ = false;
    layer_ = hp_.n_layers() + std::ssize(program_.nextn);
    program_.nextn.push_back({layer_, std::ssize(program_.nextn) + 1, {Stage{}}, {}, {}, program_.output});
}

void Builder::finish_nextn(Value final, Linear head) {
    NextN& block = program_.nextn.back();
    block.final = final;
    if (head.present()) block.output.linear = std::move(head);
}

Link apply(Activation activation) { return {.kind = LinkKind::Apply, .activation = activation}; }
Link affine(float factor, float offset) { return {.kind = LinkKind::Affine, .a = factor, .b = offset}; }
Link clamp(float low, float high) { return {.kind = LinkKind::Clamp, .a = low, .b = high}; }
Link times(Value value) { return {.kind = LinkKind::Times, .value = value}; }
Link times(Vector vector) { return {.kind = LinkKind::Times, .vector = std::move(vector)}; }
Link plus(Value value) { return {.kind = LinkKind::Plus, .value = value}; }
Link plus(Vector vector) { return {.kind = LinkKind::Plus, .vector = std::move(vector)}; }
Link minus(Value value) { return {.kind = LinkKind::Minus, .value = value}; }

}  // namespace assay::model
