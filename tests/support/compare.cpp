#include "support/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "gguf/file.h"

namespace assay::test {

namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

std::vector<double> values(const gguf::File& file, const gguf::Tensor& tensor) {
    if (tensor.type->id != quant::TypeId::F32)
        throw_error(ErrorKind::BadFile, file.where(), "tensor {} is {}, expected f32", tensor.name,
                    tensor.type->name);
    std::vector<float> stored(tensor.elements());
    if (!stored.empty()) std::memcpy(stored.data(), file.data(tensor).data(), stored.size() * sizeof(float));
    return {stored.begin(), stored.end()};
}

double mean(const std::vector<double>& v) {
    return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(std::max<std::size_t>(1, v.size()));
}

/// The largest count that lies outside the tolerance, as a sentence; empty when all lie inside.
std::string count_difference(const Energy& mine, const Energy& reference, double tolerance) {
    const double usual = mean(reference.counts);
    for (std::size_t i = 0; i < reference.counts.size(); ++i) {
        const double allowed = tolerance * std::max(reference.counts[i], usual);
        if (!(std::abs(mine.counts[i] - reference.counts[i]) <= allowed))
            return fmt::format("count {} is {}, expected {}", i, mine.counts[i], reference.counts[i]);
    }
    return {};
}

/// Energy per token of column j of the whole entry.
double per_token(const Energy& entry, std::size_t j) {
    const std::size_t row = entry.sums.size() / entry.counts.size();
    return entry.sums[j] / std::max(1.0, entry.counts[j / row]);
}

/// By the measure, over the columns that both saw.
double value_difference(const Energy& mine, const Energy& reference, Measure measure) {
    const std::size_t row = reference.sums.size() / reference.counts.size();
    double largest = 0, differences = 0, sum = 0;
    std::size_t n = 0;
    for (std::size_t j = 0; j < reference.sums.size(); ++j) {
        if (!(mine.counts[j / row] > 0) || !(reference.counts[j / row] > 0)) continue;
        const double difference = std::abs(per_token(mine, j) - per_token(reference, j));
        if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
        largest = std::max(largest, difference);
        differences += difference;
        sum += per_token(reference, j);
        ++n;
    }
    if (measure == Measure::Energy) return sum == 0 ? differences : differences / sum;
    return sum == 0 ? largest : largest * static_cast<double>(n) / sum;
}

void compare_entry(const std::string& name, const Energy& mine, const Energy& reference,
                   const Tolerance& tolerance, std::vector<std::string>& out) {
    if (mine.sums.size() != reference.sums.size() || mine.counts.size() != reference.counts.size()) {
        out.push_back(fmt::format("{}: {} sums and {} counts, expected {} and {}", name, mine.sums.size(),
                                  mine.counts.size(), reference.sums.size(), reference.counts.size()));
        return;
    }
    if (std::string text = count_difference(mine, reference, tolerance.counts); !text.empty())
        out.push_back(name + ": " + text);
    const double difference = value_difference(mine, reference, tolerance.measure);
    if (!(difference <= tolerance.values))
        out.push_back(fmt::format("{}: values differ by {:.3g} of the {}, allowed {:g}", name, difference,
                                  tolerance.measure == Measure::Energy ? "energy" : "mean",
                                  tolerance.values));
}

}  // namespace

Matrix read_matrix(const std::filesystem::path& path) {
    const auto file = gguf::File::open(path);
    Matrix matrix;
    for (const gguf::Tensor& tensor : file.tensors()) {
        if (!tensor.name.ends_with(kSums)) continue;
        const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
        Energy entry{values(file, tensor), values(file, file.get(name + std::string(kCounts)))};
        if (entry.counts.empty() || entry.sums.size() % entry.counts.size() != 0)
            throw_error(ErrorKind::BadFile, file.where(), "{} has {} sums for {} counts", name,
                        entry.sums.size(), entry.counts.size());
        matrix.emplace(name, std::move(entry));
    }
    return matrix;
}

std::vector<std::string> differences(const Matrix& mine, const Matrix& reference,
                                     const Tolerance& tolerance) {
    std::vector<std::string> out;
    for (const auto& [name, entry] : reference) {
        const auto it = mine.find(name);
        if (it == mine.end())
            out.push_back(name + ": missing");
        else
            compare_entry(name, it->second, entry, tolerance, out);
    }
    for (const auto& [name, entry] : mine)
        if (!reference.contains(name)) out.push_back(name + ": unexpected");
    return out;
}

double perplexity_error(const std::vector<double>& mine, const std::vector<double>& reference) {
    constexpr double kWrong = std::numeric_limits<double>::infinity();
    if (mine.size() != reference.size()) return kWrong;
    double worst = 0;
    for (std::size_t i = 0; i < reference.size(); ++i) {
        const double error =
            std::abs(std::log(mine[i] / reference[i])) / std::max(1.0, std::log(reference[i]) / 7);
        if (!std::isfinite(error)) return kWrong;
        worst = std::max(worst, error);
    }
    return worst;
}

}  // namespace assay::test
