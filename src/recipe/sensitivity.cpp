#include "recipe/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "recipe/policy.h"

namespace assay::recipe {

using quant::TypeId;
using Json = nlohmann::json;

namespace {

constexpr int kTurns = 50;

MeasuredUnit read_unit(const Json& json, const std::string& where) {
    MeasuredUnit unit;
    unit.unit = json.at("unit").get<std::string>();
    const auto word = json.at("type").get<std::string>();
    const auto type = parse_type(word);
    if (!type) throw_error(ErrorKind::BadFile, where, "unit {} has the unknown type '{}'", unit.unit, word);
    unit.type = *type;
    unit.tensors = json.at("tensors").get<std::vector<std::string>>();
    unit.divergence = json.at("divergence").get<double>();
    unit.error = json.at("divergence_error").get<double>();
    return unit;
}

/// A unit's tensors in the types that count, and what they are to add up to.
struct Target {
    std::vector<std::pair<std::string, double>> guesses;
    double divergence = 0.0;

    double sum(const std::map<std::string, double>& scales) const {
        double total = 0.0;
        for (const auto& [tensor, guess] : guesses) total += guess * scales.at(tensor);
        return total;
    }
};

/// Units of the same name together; those without any guessed or measured cost tell nothing.
std::vector<Target> targets_of(const SensitivityFile& file, const std::set<TypeId>& types,
                               const Guess& guess) {
    std::map<std::string, Target> by_name;
    for (const MeasuredUnit& unit : file.units) {
        if (!types.contains(unit.type)) continue;
        Target& target = by_name[unit.unit];
        target.divergence += std::max(unit.divergence, unit.error);
        for (const std::string& tensor : unit.tensors)
            target.guesses.emplace_back(tensor, guess(tensor, unit.type));
    }
    std::vector<Target> targets;
    for (auto& [name, target] : by_name) {
        double sum = 0.0;
        for (const auto& [tensor, cost] : target.guesses) sum += cost;
        if (sum > 0.0 && target.divergence > 0.0) targets.push_back(std::move(target));
    }
    return targets;
}

std::map<std::string, double> fit(std::span<const SensitivityFile> files, const std::set<TypeId>& types,
                                  const Guess& guess) {
    std::vector<Target> targets;
    for (const SensitivityFile& file : files)
        for (Target& target : targets_of(file, types, guess)) targets.push_back(std::move(target));
    std::map<std::string, double> scales;
    for (const Target& target : targets)
        for (const auto& [tensor, cost] : target.guesses) scales[tensor] = 1.0;
    for (int turn = 0; turn < (files.size() > 1 ? kTurns : 1); ++turn)
        for (const Target& target : targets) {
            const double factor = target.divergence / target.sum(scales);
            std::set<std::string> done;  // a tensor of several types occurs several times
            for (const auto& [tensor, cost] : target.guesses)
                if (done.insert(tensor).second) scales[tensor] *= factor;
        }
    return scales;
}

}  // namespace

SensitivityFile read_sensitivity(const std::filesystem::path& path) {
    SensitivityFile file{path.string(), {}};
    const std::string text = read_file(path);
    const Json json = Json::parse(text, nullptr, false);
    try {
        if (json.is_discarded() || json.at("format") != "assay.sensitivity")
            throw_error(ErrorKind::BadFile, file.where, "is not what `assay sensitivity -o` writes");
        if (json.at("version") != 1)
            throw_error(ErrorKind::BadFile, file.where, "has version {}, this program reads 1",
                        json.at("version").dump());
        for (const Json& unit : json.at("units")) file.units.push_back(read_unit(unit, file.where));
    } catch (const Json::exception& failure) {
        throw_error(ErrorKind::BadFile, file.where, "is not what `assay sensitivity -o` writes: {}",
                    failure.what());
    }
    return file;
}

FittedScale::FittedScale(std::span<const SensitivityFile> files, const Guess& guess) {
    std::set<TypeId> types;
    double divergence = 0.0;
    double guessed = 0.0;
    for (const SensitivityFile& file : files)
        for (const MeasuredUnit& unit : file.units) {
            types.insert(unit.type);
            divergence += std::max(0.0, unit.divergence);
            for (const std::string& tensor : unit.tensors) guessed += guess(tensor, unit.type);
        }
    if (divergence > 0.0 && guessed > 0.0) otherwise_ = divergence / guessed;
    for (const TypeId type : types) of_type_[type] = fit(files, {type}, guess);
    of_all_ = fit(files, types, guess);
}

double FittedScale::of(const std::string& tensor, TypeId type) const {
    const auto measured = of_type_.find(type);
    if (measured != of_type_.end()) {
        const auto scale = measured->second.find(tensor);
        if (scale != measured->second.end()) return scale->second;
    }
    const auto scale = of_all_.find(tensor);
    return scale != of_all_.end() ? scale->second : otherwise_;
}

}  // namespace assay::recipe
