#include "calibrate/inventory.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "gguf/tensor_name.h"
#include "model/visit.h"
#include "recipe/policy.h"

namespace assay::calibrate {

namespace {

constexpr const char* kElementByElement = "used element by element, not multiplied";

/// What a program does with tensors, by name.
struct Uses {
    std::set<std::string, std::less<>> looked_up, element_by_element, multiplied;
    std::string output;

    explicit Uses(const model::Program& program) : output(program.output.linear.weight.name) {
        add(program.start);
        for (const model::Stage* stage : model::collected_stages(program)) add(*stage);
        add(program.head);
        for (const model::NextN& block : program.nextn) add(block.head);
    }

  private:
    void add(const model::Stage& stage) {
        for (const model::Step& step : stage.steps) {
            if (const auto* lookup = std::get_if<model::Lookup>(&step.operation))
                looked_up.insert(lookup->table.name);
            for (const model::Linear* linear : model::linears(step.operation))
                multiplied.insert(linear->weight.name);
            for (const model::Vector* vector : model::vectors(step.operation))
                element_by_element.insert(vector->name);
        }
    }
};

/// The first block behind the layers that predict the next token.
std::int64_t first_nextn_block(const gguf::File& file) {
    const gguf::Metadata& metadata = file.metadata();
    const std::string prefix(metadata.find_string("general.architecture").value_or(""));
    return metadata.find_integer(prefix + ".block_count").value_or(INT64_MAX) -
           metadata.find_integer(prefix + ".nextn_predict_layers").value_or(0);
}

std::string rows_text(const imatrix::Entry& entry) {
    const auto [least, most] = std::ranges::minmax(entry.counts);
    if (entry.counts.size() == 1) return fmt::format("{} tokens", most);
    return fmt::format("{} to {} tokens for each of {} experts", least, most, entry.counts.size());
}

std::string counted_reasons(const std::map<std::string, int>& reasons) {
    std::string text;
    for (const auto& [reason, n] : reasons)
        text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", reason, n);
    return text;
}

}  // namespace

Inventory take_inventory(const gguf::File& file, const model::Program& program,
                         const imatrix::Matrix& matrix) {
    const Uses uses(program);
    const std::int64_t nextn = program.nextn.empty() ? first_nextn_block(file) : INT64_MAX;
    Inventory inventory;
    for (const gguf::Tensor& tensor : file.tensors()) {
        TensorData& data = inventory.tensors.emplace_back();
        data.name = tensor.name;
        const auto entry = matrix.entries.find(tensor.name);
        if (entry != matrix.entries.end()) {
            data.rows = rows_text(entry->second);
            data.has_data = entry->second.max_count() > 0;
            const std::uint64_t columns = tensor.ne[0] * tensor.ne[2];
            if (!data.has_data)
                data.reason = "no token reached it";
            else if (entry->second.sum_sq.size() != columns && recipe::is_quantised(tensor)) {
                data.has_data = false;
                data.rows = fmt::format("{} columns, quantisers expect {}: --complete folds them",
                                        entry->second.sum_sq.size(), columns);
            }
        } else if (const std::string_view why = recipe::why_left_alone(tensor); !why.empty()) {
            data.reason = why;
        } else if (gguf::block_of(tensor.name).value_or(-1) >= nextn) {
            data.reason = "NextN block: only with --nextn";
        } else if (uses.looked_up.contains(tensor.name)) {
            data.reason = "rows are looked up, not multiplied";
        } else if (tensor.name == uses.output) {
            data.reason = "output: only with --process-output";
        } else if (uses.element_by_element.contains(tensor.name)) {
            data.reason = kElementByElement;
        } else if (!uses.multiplied.contains(tensor.name)) {
            data.rows = "the model runs without it";
        }
    }
    return inventory;
}

std::vector<std::string> add_equal_weights(const gguf::File& file, const model::Program& program,
                                           imatrix::Matrix& matrix) {
    std::vector<std::string> names;
    for (const TensorData& data : take_inventory(file, program, matrix).tensors) {
        if (data.reason != kElementByElement) continue;
        const gguf::Tensor& tensor = file.get(data.name);
        imatrix::Entry entry;
        entry.width = tensor.ne[0] * tensor.ne[2];
        entry.sum_sq.assign(entry.width, 1);
        entry.sum.assign(entry.width, 0);
        entry.counts = {1};
        matrix.entries[data.name] = std::move(entry);
        names.push_back(data.name);
    }
    return names;
}

std::string TensorData::lack() const {
    return rows.empty() ? "its input was not collected; --complete may do it" : rows;
}

std::vector<std::string> Inventory::unexplained() const {
    std::vector<std::string> names;
    for (const TensorData& tensor : tensors)
        if (!tensor.has_data && tensor.reason.empty()) names.push_back(tensor.name);
    return names;
}

std::string Inventory::sentence() const {
    std::map<std::string, int> reasons;
    std::size_t n = 0;
    for (const TensorData& tensor : tensors) {
        n += tensor.has_data ? 1 : 0;
        if (!tensor.reason.empty()) ++reasons[tensor.reason];
    }
    std::string text = fmt::format("{} of {} with data", n, tensors.size());
    if (!reasons.empty()) text += "; the others: " + counted_reasons(reasons);
    const auto lacking = unexplained();
    if (!lacking.empty()) text += fmt::format("; {} without data and without a reason", lacking.size());
    return text;
}

std::vector<std::string> Inventory::lines() const {
    std::vector<std::string> all;
    for (const TensorData& tensor : tensors) {
        const std::string state = tensor.has_data          ? tensor.rows
                                  : !tensor.reason.empty() ? "- " + tensor.reason
                                                           : "no data: " + tensor.lack();
        all.push_back(fmt::format("  {:<48} {}", printable(tensor.name), state));
    }
    return all;
}

}  // namespace assay::calibrate
