#include "model/rope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"

namespace assay::model {

namespace {

constexpr double kDefaultBase = 10000;
constexpr double kBetaSlow = 1;

/// The first n factors of an f32 tensor, or ones when there is none.
std::vector<double> factors(const gguf::File& file, std::string_view name, std::int64_t n) {
    std::vector<double> result(static_cast<std::size_t>(n), 1.0);
    const gguf::Tensor* tensor = file.find(name);
    if (tensor == nullptr) return result;
    if (tensor->type->id != quant::TypeId::F32 || static_cast<std::int64_t>(tensor->elements()) < n)
        throw_error(ErrorKind::BadFile, file.where(), "tensor {} is {} {}, expected f32 [{}]", name,
                    tensor->type->name, tensor->shape_text(), n);
    std::vector<float> values(static_cast<std::size_t>(tensor->elements()));
    tensor->type->decode(file.data(*tensor).data(), values.size(), values.data());
    for (std::size_t i = 0; i < result.size(); ++i) {
        if (!(std::isfinite(values[i]) && values[i] != 0))
            throw_error(ErrorKind::BadFile, file.where(),
                        "tensor {} holds {}, expected finite factors other than 0", name, values[i]);
        result[i] = static_cast<double>(values[i]);
    }
    return result;
}

std::string_view factor_tensor(const gguf::File& file, std::int64_t n_ctx, std::int64_t n_original) {
    if (file.find("rope_freqs.weight") != nullptr) return "rope_freqs.weight";
    return n_ctx > n_original ? "rope_factors_long.weight" : "rope_factors_short.weight";
}

/// YaRN's share of extrapolation for pair i: 1 keeps the frequency, 0 scales it.
struct Ramp {
    double low = 0;
    double high = 0;

    static Ramp make(std::int64_t n_rot, double n_original, double base, double fast, double slow) {
        const auto turn = [&](double beta) {
            return static_cast<double>(n_rot) * std::log(n_original / (beta * 2 * std::numbers::pi)) /
                   (2 * std::log(base));
        };
        return {std::max(0.0, std::floor(turn(fast))),
                std::min(static_cast<double>(n_rot) - 1, std::ceil(turn(slow)))};
    }
    double operator()(std::int64_t pair) const {
        const double y = (static_cast<double>(pair) - low) / std::max(0.001, high - low);
        return 1 - std::clamp(y, 0.0, 1.0);
    }
};

/// Whether pair i belongs to a section whose positions text has.
class TurningPairs {
  public:
    TurningPairs(const Hyperparameters& hp, Sections kind) : kind_(kind) {
        const gguf::Integers* sections = hp.metadata().find_integers(hp.key("rope.dimension_sections"));
        if (kind == Sections::None || sections == nullptr) return;
        for (std::size_t i = 0; i < sizes_.size() && i < sections->size(); ++i) sizes_[i] = (*sections)[i];
        for (const std::int64_t size : sizes_) total_ += size;
    }
    bool operator()(std::int64_t pair) const {
        if (total_ <= 0) return true;
        const std::int64_t i = pair % total_;
        if (kind_ == Sections::Consecutive) return i < sizes_[0] + sizes_[1] + sizes_[2];
        const auto axis = static_cast<std::size_t>(i % 3);
        return i < 3 * sizes_[axis];
    }

  private:
    Sections kind_;
    std::array<std::int64_t, 4> sizes_{};
    std::int64_t total_ = 0;
};

double yarn_magnitude(const RopeOptions& options, double factor) {
    const auto g = [factor](double s) { return factor <= 1 ? 1.0 : 1 + 0.1 * s * std::log(factor); };
    return options.log_multiplier == 0 ? g(1) : g(options.log_numerator) / g(options.log_multiplier);
}

}  // namespace

Rope make_rope(const Builder& b, std::int64_t head_dim, const RopeOptions& options) {
    const Hyperparameters& hp = b.hp();
    const gguf::File& file = b.tensors().file();
    const std::string& where = b.where();
    const std::int64_t n_rot =
        options.n_rot > 0 ? options.n_rot : hp.integer("rope.dimension_count").value_or(head_dim);
    if (n_rot < 0 || n_rot > head_dim || n_rot % 2 != 0)
        throw_error(ErrorKind::BadFile, where, "{} is {}, expected an even number up to the head size {}",
                    hp.key("rope.dimension_count"), n_rot, head_dim);
    const double base = options.base != 0 ? options.base : hp.real("rope.freq_base").value_or(kDefaultBase);
    if (!std::isfinite(base) || base <= 1)
        throw_error(ErrorKind::BadFile, where, "{} is {}, expected a number above 1",
                    hp.key("rope.freq_base"), base);
    const auto type = std::string(hp.metadata().find_string(hp.key("rope.scaling.type")).value_or("linear"));
    if (type != "none" && type != "linear" && type != "yarn" && type != "longrope")
        throw_error(ErrorKind::BadFile, where, "{} is \"{}\", expected none, linear, yarn or longrope",
                    hp.key("rope.scaling.type"), type);
    const double raw_factor =
        hp.real("rope.scaling.factor").value_or(hp.real("rope.scale_linear").value_or(0));
    const double factor = raw_factor == 0 || type == "none" || !options.scaled ? 1 : raw_factor;
    if (!std::isfinite(factor) || factor <= 0)
        throw_error(ErrorKind::BadFile, where, "rope scaling factor {} is impossible", factor);
    const std::int64_t n_original =
        hp.integer("rope.scaling.original_context_length").value_or(hp.context_length());

    Rope rope;
    rope.pairing = options.pairing;
    const std::vector<double> own = options.factors
                                        ? factors(file, factor_tensor(file, b.n_ctx(), n_original), n_rot / 2)
                                        : std::vector<double>(static_cast<std::size_t>(n_rot / 2), 1.0);
    std::vector<float> frequencies;
    const bool yarn = type == "yarn" && options.scaled;
    const Ramp ramp = Ramp::make(
        n_rot, static_cast<double>(n_original), base,
        options.yarn_betas ? hp.real("rope.scaling.yarn_beta_fast").value_or(options.beta_fast)
                           : options.beta_fast,
        options.yarn_betas ? hp.real("rope.scaling.yarn_beta_slow").value_or(kBetaSlow) : kBetaSlow);
    const TurningPairs turns(hp, options.sections);
    for (std::int64_t i = 0; i < n_rot / 2; ++i) {
        if (!turns(i)) {
            frequencies.push_back(0);
            continue;
        }
        const double extrapolated =
            std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(n_rot)) /
            own[static_cast<std::size_t>(i)];
        const double interpolated = extrapolated / factor;
        const double share = yarn ? ramp(i) : 0;
        frequencies.push_back(static_cast<float>(interpolated * (1 - share) + extrapolated * share));
    }
    // Layers with the same numbers share them; the name tells others apart.
    rope.frequencies = {fmt::format("rope.{}.{}.{}.{}", n_rot, base, factor, options.factors ? 1 : 0),
                        n_rot / 2, std::move(frequencies)};
    rope.magnitude = hp.number("rope.scaling.attn_factor", 1);
    if (options.unmagnified) rope.magnitude = 1;
    if (yarn) rope.magnitude *= static_cast<float>(yarn_magnitude(options, factor));
    return rope;
}

}  // namespace assay::model
