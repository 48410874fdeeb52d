#include "model/print.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <numeric>
#include <set>

#include "core/text.h"
#include "model/entries.h"
#include "model/step_text.h"
#include "model/visit.h"

namespace assay::model {

namespace {

/// Of a result, with its columns; operations begin behind it.
constexpr std::size_t kResultWidth = 24;
constexpr std::size_t kNameWidth = 40;

using Stages = std::vector<const Stage*>;

enum class Purpose : std::uint8_t { Reading, Comparing };

Stages stages_of(const std::vector<Stage>& all) {
    Stages stages;
    for (const Stage& stage : all) stages.push_back(&stage);
    return stages;
}

/// In order of mention, some of them several times.
std::vector<std::int32_t> values_in(const Stages& stages) {
    std::vector<std::int32_t> found;
    for (const Stage* stage : stages)
        for (const Step& step : stage->steps) {
            for (const Value& value : inputs(step)) found.push_back(value.id);
            found.push_back(step.out.id);
        }
    return found;
}

/// Values that more than one of start, layers, head and the blocks behind it touch.
std::set<std::int32_t> shared_values(const Program& program) {
    std::map<std::int32_t, int> users;
    const auto count = [&](const Stages& stages) {
        const std::vector<std::int32_t> found = values_in(stages);
        for (const std::int32_t id : std::set(found.begin(), found.end())) ++users[id];
    };
    count({&program.start});
    for (const Layer& layer : program.layers) count(stages_of(layer.stages));
    count({&program.head});
    for (const NextN& block : program.nextn) {
        Stages stages = stages_of(block.stages);
        stages.push_back(&block.head);
        count(stages);
    }
    std::set<std::int32_t> shared;
    for (const auto& [id, n] : users)
        if (n > 1) shared.insert(id);
    return shared;
}

/// The text of start, head, a layer, or a block behind the head.
class Section {
  public:
    /// Tensors whose names begin with own_prefix are the section's own. `mentioned`: values that have names
    /// though no step may touch them.
    Section(const Program& program, Purpose purpose, const std::set<std::int32_t>& shared, Stages stages,
            std::string own_prefix, std::initializer_list<Value> mentioned)
        : program_(program),
          purpose_(purpose),
          own_prefix_(std::move(own_prefix)),
          stages_(std::move(stages)) {
        std::vector<std::int32_t> ids = values_in(stages_);
        for (const Value& value : mentioned)
            if (value.present()) ids.push_back(value.id);
        // Those that others know come first, so that x is x everywhere.
        for (const bool first : {true, false})
            for (const std::int32_t id : ids)
                if (shared.contains(id) == first) give_label(id);
    }

    std::string steps() const {
        std::string out;
        for (std::size_t s = 0; s < stages_.size(); ++s) {
            if (stages_.size() > 1) out += fmt::format("  stage {}\n", s);
            for (const Step& step : stages_[s]->steps) out += line(step) + tensors(step.operation);
        }
        return out;
    }

    std::string name_of(const Value& value) const {
        const std::string& label = labels_.at(value.id);
        const std::int64_t cols = info(value.id).cols;
        return value.cols == cols ? label
                                  : fmt::format("{}[{}..{})", label, value.first, value.first + value.cols);
    }

    /// Every number that was computed, for comparisons.
    std::vector<float> computed() const {
        std::vector<float> all;
        for (const Stage* stage : stages_)
            for (const Step& step : stage->steps)
                for (const Vector* vector : vectors(step.operation))
                    all.insert(all.end(), vector->values.begin(), vector->values.end());
        return all;
    }

    std::string weight_line(const Weight& weight, const std::string& sums) const {
        return tensor_line(weight.name,
                           weight.n_matrices == 1
                               ? fmt::format("[{}, {}]", weight.n_out, weight.n_in)
                               : fmt::format("[{}, {}, {}]", weight.n_matrices, weight.n_out, weight.n_in),
                           sums);
    }

    std::string vector_line(const Vector& vector) const {
        std::string values;
        if (!vector.values.empty())
            values = purpose_ == Purpose::Reading
                         ? fmt::format("computed: {} .. {}", vector.values.front(), vector.values.back())
                         : fmt::format("computed: {}", fmt::join(vector.values, " "));
        return tensor_line(vector.name, fmt::format("[{}]", vector.size), values);
    }

  private:
    const ValueInfo& info(std::int32_t id) const { return program_.values[static_cast<std::size_t>(id)]; }

    void give_label(std::int32_t id) {
        if (labels_.contains(id)) return;
        const std::string name = printable(info(id).name);
        const int n = ++named_[name];
        labels_[id] = n == 1 ? name : fmt::format("{}.{}", name, n);
    }

    std::string tensor_name(const std::string& name) const {
        const bool own = !own_prefix_.empty() && name.starts_with(own_prefix_);
        return printable(own ? "blk.N." + name.substr(own_prefix_.size()) : name);
    }

    Names names() const {
        return {[this](const Value& value) { return name_of(value); },
                [this](const std::string& name) { return tensor_name(name); }};
    }

    std::string line(const Step& step) const {
        const bool turned = std::holds_alternative<TurnHeads>(step.operation);
        const char* sign = turned ? "" : updates(step.operation) ? "+=" : "=";
        const std::string out = fmt::format("{} [{}]", name_of(step.out), step.out.cols);
        return fmt::format("    {:<{}} {:>2} {}\n", out, kResultWidth, sign,
                           describe(step.operation, names()));
    }

    std::string tensors(const Operation& operation) const {
        std::string out;
        if (const auto* lookup = std::get_if<Lookup>(&operation)) out += weight_line(lookup->table, "");
        for (const Linear* linear : linears(operation)) {
            const Weight& weight = linear->weight;
            out += weight_line(
                weight,
                fmt::format("sums of {} columns",
                            weight.n_matrices == 1 ? fmt::to_string(weight.n_in)
                                                   : fmt::format("{} x {}", weight.n_matrices, weight.n_in)));
            if (!weight.scale.empty() && purpose_ == Purpose::Reading)
                out += tensor_line(weight.scale, "", "factor of the product");
        }
        if (const auto* experts = std::get_if<Experts>(&operation))
            if (experts->router.lookup.present()) out += weight_line(experts->router.lookup, "");
        for (const Vector* vector : vectors(operation))
            if (vector->present()) out += vector_line(*vector);
        return out;
    }

    std::string tensor_line(const std::string& name, const std::string& shape,
                            const std::string& note) const {
        std::string out =
            fmt::format("{:{}}{:<{}} {:<20} {}", "", 8, tensor_name(name), kNameWidth, shape, note);
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    }

    const Program& program_;
    const Purpose purpose_;
    const std::string own_prefix_;
    const Stages stages_;
    std::map<std::string, int> named_;
    std::map<std::int32_t, std::string> labels_;
};

/// "0-3, 5" of sorted numbers.
std::string ranges(const std::vector<std::int64_t>& numbers) {
    std::string out;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        out += out.empty() ? "" : ", ";
        out += last == i ? fmt::to_string(numbers[i]) : fmt::format("{}-{}", numbers[i], numbers[last]);
        i = last + 1;
    }
    return out;
}

struct Alike {
    std::string text;
    std::vector<float> computed;
    std::vector<std::int64_t> layers;
};

std::string body_of(const Layer& layer, const Section& section) {
    std::string out = section.steps();
    const Value left = layer.left.id == layer.residual.id ? Value{} : layer.left;
    std::string read;
    for (const auto& [word, value] :
         {std::pair("input", layer.input), std::pair("feed-forward input", layer.ffn_input),
          std::pair("residual stream", layer.residual), std::pair("which leaves as", left)})
        if (value.present())
            read += fmt::format("{}{} {}", read.empty() ? "" : ", ", word, section.name_of(value));
    return read.empty() ? out : out + fmt::format("  similarity reads {}\n", read);
}

std::vector<Alike> kinds_of_layers(const Program& program, Purpose purpose,
                                   const std::set<std::int32_t>& shared) {
    std::vector<Alike> kinds;
    for (const Layer& layer : program.layers) {
        const Section section(program, purpose, shared, stages_of(layer.stages),
                              fmt::format("blk.{}.", layer.index),
                              {layer.input, layer.ffn_input, layer.residual, layer.left});
        Alike made{body_of(layer, section), section.computed(), {layer.index}};
        const auto same = std::ranges::find_if(kinds, [&](const Alike& kind) {
            return kind.text == made.text && kind.computed == made.computed;
        });
        if (same == kinds.end())
            kinds.push_back(std::move(made));
        else
            same->layers.push_back(layer.index);
    }
    return kinds;
}

std::string logits(const Section& section, const Value& final, const Output& output,
                   const std::string& sums) {
    const Weight& weight = output.linear.weight;
    std::string out = fmt::format("    {:<{}}  = product of {}", fmt::format("logits [{}]", weight.n_out),
                                  kResultWidth, section.name_of(final));
    out += when(output.scale != 1, fmt::format("times {}", output.scale)) +
           when(output.soft_cap != 0, fmt::format("soft cap {}", output.soft_cap)) + "\n";
    out += section.weight_line(weight, sums);
    if (output.linear.bias.present()) out += section.vector_line(output.linear.bias);
    return out;
}

std::string text_for(Purpose purpose, const Program& program, std::optional<std::int64_t> layer) {
    const std::set<std::int32_t> shared = shared_values(program);
    std::string out = fmt::format("{} {}: {} layers, hidden {}, vocab {}\n", printable(program.architecture),
                                  purpose == Purpose::Reading ? printable(program.name) : "",
                                  program.layers.size(), program.hidden, program.n_vocab);
    const Section start(program, purpose, shared, {&program.start}, "", {});
    if (!layer) out += "\nstart\n" + start.steps();
    for (const Alike& kind : kinds_of_layers(program, purpose, shared)) {
        if (layer && std::ranges::find(kind.layers, *layer) == kind.layers.end()) continue;
        out += fmt::format("\nlayer{} {}\n", kind.layers.size() > 1 ? "s" : "", ranges(kind.layers));
        out += kind.text;
    }
    if (layer) return out;
    const Section head(program, purpose, shared, {&program.head}, "", {program.final});
    out += "\nhead\n" + head.steps() +
           logits(head, program.final, program.output, "sums where the output is observed");
    for (const NextN& block : program.nextn) {
        Stages stages = stages_of(block.stages);
        stages.push_back(&block.head);
        const Section section(program, purpose, shared, stages, fmt::format("blk.{}.", block.block),
                              {block.final});
        const bool own = block.output.linear.weight.name != program.output.linear.weight.name;
        out += fmt::format("\nNextN block {}: its rows are tokens from the chunk's token {} on\n",
                           block.block, block.ahead) +
               section.steps() +
               logits(section, block.final, block.output,
                      own ? fmt::format("sums of {} columns", block.output.linear.weight.n_in) : "");
    }
    const std::vector<Entry> entries = entries_of(program, "");
    const std::int64_t columns =
        std::accumulate(entries.begin(), entries.end(), std::int64_t{0},
                        [](std::int64_t sum, const Entry& entry) { return sum + entry.columns; });
    return out + fmt::format("\nmatrix: {} entries of {} columns together\n", entries.size(), columns);
}

}  // namespace

std::string to_text(const Program& program, std::optional<std::int64_t> layer) {
    return text_for(Purpose::Reading, program, layer);
}

std::string computation_text(const Program& program) { return text_for(Purpose::Comparing, program, {}); }

}  // namespace assay::model
