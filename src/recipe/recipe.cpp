#include "recipe/recipe.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "core/error.h"
#include "quant/encode.h"
#include "recipe/errors.h"
#include "recipe/groups.h"
#include "recipe/knapsack.h"
#include "recipe/policy.h"
#include "recipe/standing.h"

namespace assay::recipe {

using quant::TypeId;

namespace {

constexpr std::uint64_t kAlignment = 32;

std::string join_names(const std::set<TypeId>& types) {
    std::string text;
    for (const TypeId type : types)
        text += (text.empty() ? "" : ", ") + std::string(quant::type_info(type).name);
    return text;
}

/// The file without tensor data: metadata and tensor directory of every shard.
std::uint64_t header_bytes(const gguf::File& model) {
    std::uint64_t data = 0;
    for (const gguf::Tensor& tensor : model.tensors())
        data += (tensor.size_bytes + kAlignment - 1) / kAlignment * kAlignment;
    return model.size_bytes() > data ? model.size_bytes() - data : 0;
}

class Maker {
  public:
    Maker(const gguf::File& model, const imatrix::Matrix& matrix, const Options& options, ThreadPool& threads)
        : model_(model), matrix_(matrix), options_(options), threads_(threads) {}

    Recipe run() {
        list_tensors();
        check_constraints();
        check_sensitivity();
        set_budget();
        measure_all();
        weigh();
        choose();
        add_rules();
        add_totals();
        return std::move(recipe_);
    }

  private:
    const gguf::Tensor& tensor(std::size_t i) const { return model_.tensors()[i]; }

    const imatrix::Entry* entry_of(const std::string& name) const {
        const auto it = matrix_.entries.find(name);
        return it == matrix_.entries.end() ? nullptr : &it->second;
    }

    bool has_data(const std::string& name) const {
        const imatrix::Entry* entry = entry_of(name);
        return entry != nullptr && entry->max_count() > 0;
    }

    void list_tensors() {
        std::set<std::uint64_t> blocks;
        for (const gguf::Tensor& t : model_.tensors()) {
            TensorChoice choice;
            choice.name = t.name;
            choice.type = t.type->id;
            choice.elements = t.elements();
            choice.bytes = t.size_bytes;
            choice.quantised = is_quantised(t);
            choice.has_data = has_data(t.name);
            recipe_.elements += t.elements();
            if (choice.quantised && t.type->block > 1) recipe_.requantises = true;
            if (const auto block = split_block(t.name).block) blocks.insert(*block);
            recipe_.tensors.push_back(std::move(choice));
        }
        n_layers_ = blocks.size();
        tied_ = model_.find("output.weight") == nullptr;
    }

    /// True for the matrix that makes the logits.
    bool projects(const std::string& name) const {
        return is_output(name) || (tied_ && name == "token_embd.weight");
    }

    const Keep* keep_for(const std::string& name) const {
        for (const Keep& keep : options_.keep)
            if (std::regex_search(name, keep.expression)) return &keep;
        return nullptr;
    }

    void check_constraints() const {
        for (const Keep& keep : options_.keep)
            if (std::none_of(recipe_.tensors.begin(), recipe_.tensors.end(), [&](const TensorChoice& t) {
                    return t.quantised && std::regex_search(t.name, keep.expression);
                }))
                throw_error(ErrorKind::Usage, "--keep", "'{}' matches no tensor that is quantised",
                            keep.text);
    }

    void check_sensitivity() const {
        for (const SensitivityFile& file : options_.sensitivity)
            for (const MeasuredUnit& unit : file.units)
                for (const std::string& name : unit.tensors)
                    if (model_.find(name) == nullptr)
                        throw_error(ErrorKind::BadFile, file.where,
                                    "measured the tensor {}, which the model has not", name);
    }

    void set_budget() {
        const bool by_bpw = options_.target_bpw.has_value();
        if (by_bpw == options_.target_bytes.has_value())
            throw_error(ErrorKind::Usage, "recipe", "give either --target-bpw or --target-size");
        if (by_bpw) {
            const double bits = *options_.target_bpw * static_cast<double>(recipe_.elements);
            if (!(bits > 0.0) || bits > 0x1p62)
                throw_error(ErrorKind::Usage, "--target-bpw",
                            "{} is not a positive number of bits per weight", *options_.target_bpw);
            recipe_.budget_bytes = static_cast<std::uint64_t>(bits / 8.0);
            return;
        }
        const std::uint64_t overhead = header_bytes(model_) + (kAlignment - 1) * recipe_.tensors.size();
        if (*options_.target_bytes <= overhead)
            throw_error(ErrorKind::Usage, "--target-size",
                        "{} bytes are less than the {} that the file needs "
                        "without any weights",
                        *options_.target_bytes, overhead);
        recipe_.budget_bytes = *options_.target_bytes - overhead;
    }

    /// What a constraint makes of a tensor. A type that the row does not fit is replaced, as the quantisers
    /// do.
    TypeId kept_type(const Keep& keep, const gguf::Tensor& t) {
        const auto type = written_type(keep.type, t.ne[0]);
        if (!type)
            throw_error(ErrorKind::Usage, "--keep", "'{}': rows of {} ({} weights) cannot be stored so",
                        keep.text, t.name, t.ne[0]);
        if (needs_data(*type) && !has_data(t.name) && !is_token_embedding(t.name) && !is_output(t.name))
            throw_error(ErrorKind::Usage, "--keep", "'{}': {} has no data in the matrix, which type {} needs",
                        keep.text, t.name, quant::type_info(*type).name);
        if (*type != keep.type)
            recipe_.notes.push_back(fmt::format("{}: rows of {} do not fit {}, so '{}' gives {}", t.name,
                                                t.ne[0], quant::type_info(keep.type).name, keep.text,
                                                quant::type_info(*type).name));
        return *type;
    }

    std::vector<TypeId> types_for(const gguf::Tensor& t) {
        std::vector<TypeId> types;
        const auto add = [&](TypeId type) {
            if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
        };
        const auto offered = options_.types.empty() ? default_types() : std::span(options_.types);
        for (const TypeId type : offered) {
            if (quant::find_encoder(type) == nullptr)
                throw_error(ErrorKind::Usage, "--types",
                            "this program cannot round to {}, so cannot choose it",
                            quant::type_info(type).name);
            if (t.ne[0] % quant::type_info(type).block != 0) continue;
            if (needs_data(type) && !has_data(t.name)) {
                refused_.insert(type);
                refused_tensor_.insert(t.name);
                continue;
            }
            add(type);
        }
        // Rows that no offered type fits become F16, as the quantisers make them.
        if (types.empty()) add(TypeId::F16);
        return types;
    }

    void measure_all() {
        for (std::size_t i = 0; i < recipe_.tensors.size(); ++i) {
            TensorChoice& choice = recipe_.tensors[i];
            if (!choice.quantised) continue;
            const gguf::Tensor& t = tensor(i);
            const Keep* keep = keep_for(choice.name);
            choice.kept = keep != nullptr;
            const auto types = keep ? std::vector{kept_type(*keep, t)} : types_for(t);
            Measured measured{i, choice.name, choice.kept, {}};
            if (keep && types[0] != t.type->id && quant::find_encoder(types[0]) == nullptr) {
                recipe_.notes.push_back(fmt::format("{}: the error of {} is not measured", choice.name,
                                                    quant::type_info(types[0]).name));
                measured.candidates.push_back(
                    {types[0], quant::row_bytes(quant::type_info(types[0]), t.ne[0]) * t.rows(), std::nullopt,
                     0.0});
            } else {
                const TensorErrors errors =
                    measure(model_, t, entry_of(choice.name), types, options_.max_rows, threads_);
                if (errors.has_data) energies_.push_back({choice.name, errors.energy});
                for (const Candidate& candidate : errors.candidates)
                    measured.candidates.push_back(
                        {candidate.type, candidate.bytes, relative(choice.name, errors, candidate), 0.0});
            }
            measured_.push_back(std::move(measured));
            measure_guesses(t);
        }
        if (tied_ && model_.find("token_embd.weight") != nullptr && !has_data("token_embd.weight"))
            recipe_.notes.push_back(
                "token_embd.weight makes the logits too, and the matrix has no data for it; a matrix "
                "collected "
                "with --process-output --output-tensor-name token_embd.weight makes a better recipe");
        if (!refused_tensor_.empty())
            recipe_.notes.push_back(fmt::format(
                "{} tensors have no data in the matrix and were not offered {}: {}{}", refused_tensor_.size(),
                join_names(refused_), *refused_tensor_.begin(), refused_tensor_.size() > 1 ? ", ..." : ""));
    }

    /// What a candidate adds to the tensor's output, as a share of it.
    double relative(const std::string& name, const TensorErrors& errors, const Candidate& candidate) const {
        return projects(name) ? errors.relative_to_centred(candidate) : errors.relative(candidate);
    }

    /// Relative errors in the types of the sensitivity runs, whatever is offered now.
    void measure_guesses(const gguf::Tensor& t) {
        std::set<TypeId> types;
        for (const SensitivityFile& file : options_.sensitivity)
            for (const MeasuredUnit& unit : file.units)
                if (std::ranges::find(unit.tensors, t.name) != unit.tensors.end()) types.insert(unit.type);
        if (types.empty()) return;
        for (const TypeId type : types)
            if (type != t.type->id &&
                (quant::find_encoder(type) == nullptr || t.ne[0] % quant::type_info(type).block != 0))
                throw_error(ErrorKind::BadFile, "--sensitivity", "{} cannot have been rounded to {}", t.name,
                            quant::type_info(type).name);
        const TensorErrors errors =
            measure(model_, t, entry_of(t.name), std::vector(types.begin(), types.end()), options_.max_rows,
                    threads_);
        for (const Candidate& candidate : errors.candidates)
            guesses_[{t.name, candidate.type}] = relative(t.name, errors, candidate);
    }

    void weigh() {
        const Standing standing = find_standing(model_, energies_);
        const double projection = 2.0 * static_cast<double>(std::max<std::size_t>(1, n_layers_));
        const auto weight_of = [&](const std::string& name) {
            return projects(name) ? projection : standing.of(name);
        };
        const FittedScale scale(options_.sensitivity, [&](const std::string& name, TypeId type) {
            const auto guess = guesses_.find({name, type});
            return guess == guesses_.end() ? 0.0 : weight_of(name) * guess->second;
        });
        recipe_.in_nats = !options_.sensitivity.empty();
        for (Measured& tensor : measured_)
            for (auto& candidate : tensor.candidates)
                candidate.cost = weight_of(tensor.name) * candidate.relative.value_or(0.0) *
                                 scale.of(tensor.name, candidate.type);
    }

    void choose() {
        const std::vector<Group> groups = group_tensors(measured_, options_.merge_tolerance);
        std::vector<Item> items;
        for (const Group& group : groups) {
            Item item;
            for (const TypeId type : group.types) {
                Option option;
                for (const std::size_t m : group.members) {
                    const auto& candidate = measured_[m].get(type);
                    option.bytes += candidate.bytes;
                    option.cost += candidate.cost;
                }
                item.push_back(option);
            }
            items.push_back(std::move(item));
        }
        const std::uint64_t untouched = untouched_bytes();
        const std::uint64_t smallest = untouched + smallest_bytes(items);
        if (smallest > recipe_.budget_bytes)
            throw_error(
                ErrorKind::Usage, "recipe",
                "the target leaves {} bytes for tensors ({:.4f} bits per weight); the smallest possible "
                "size is {} bytes ({:.4f})",
                recipe_.budget_bytes, to_bpw(recipe_.budget_bytes), smallest, to_bpw(smallest));
        const Choice choice = solve(items, recipe_.budget_bytes - untouched);
        recipe_.error = choice.cost;
        recipe_.bound = choice.bound;
        for (std::size_t g = 0; g < groups.size(); ++g)
            for (const std::size_t m : groups[g].members) {
                const auto& candidate = measured_[m].get(groups[g].types[choice.option[g]]);
                TensorChoice& tensor_choice = recipe_.tensors[measured_[m].tensor];
                tensor_choice.type = candidate.type;
                tensor_choice.bytes = candidate.bytes;
                tensor_choice.relative = candidate.relative;
            }
    }

    std::uint64_t untouched_bytes() const {
        std::uint64_t sum = 0;
        for (const TensorChoice& choice : recipe_.tensors)
            if (!choice.quantised) sum += choice.bytes;
        return sum;
    }

    double to_bpw(std::uint64_t bytes) const {
        return 8.0 * static_cast<double>(bytes) /
               static_cast<double>(std::max<std::uint64_t>(1, recipe_.elements));
    }

    void add_rules() {
        std::vector<NamedType> named;
        std::map<TypeId, std::uint64_t> bytes;
        for (const TensorChoice& choice : recipe_.tensors) {
            if (!choice.quantised) continue;
            bytes[choice.type] += choice.bytes;
            if (is_token_embedding(choice.name))
                recipe_.token_embedding_type = choice.type;
            else if (is_output(choice.name))
                recipe_.output_type = choice.type;
            else
                named.push_back({choice.name, choice.type});
        }
        recipe_.rules = make_rules(named);
        if (!bytes.empty())
            recipe_.commonest =
                std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) {
                    return a.second < b.second;
                })->first;
    }

    void add_totals() {
        recipe_.file_bytes = header_bytes(model_);
        for (const TensorChoice& choice : recipe_.tensors) {
            recipe_.tensor_bytes += choice.bytes;
            recipe_.file_bytes += (choice.bytes + kAlignment - 1) / kAlignment * kAlignment;
        }
    }

    const gguf::File& model_;
    const imatrix::Matrix& matrix_;
    const Options& options_;
    ThreadPool& threads_;
    Recipe recipe_;
    std::vector<Measured> measured_;
    std::vector<NamedEnergy> energies_;
    std::map<std::pair<std::string, TypeId>, double> guesses_;
    std::size_t n_layers_ = 0;
    bool tied_ = false;
    std::set<TypeId> refused_;
    std::set<std::string> refused_tensor_;
};

}  // namespace

double Recipe::bpw() const noexcept {
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(tensor_bytes) / static_cast<double>(elements);
}

Recipe make_recipe(const gguf::File& model, const imatrix::Matrix& matrix, const Options& options,
                   ThreadPool& threads) {
    return Maker(model, matrix, options, threads).run();
}

}  // namespace assay::recipe
