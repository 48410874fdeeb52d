#include "calibrate/forecast.h"

#include <algorithm>

#include "core/error.h"
#include "plan/estimate.h"

namespace assay::calibrate {

namespace {

/// A pass reaches about this share of what its products reach alone.
constexpr double kShareOfProducts = 0.75;
constexpr double kProbeSeconds = 0.05;
constexpr std::int64_t kProbeWidth = 2048;

}  // namespace

double forecast(const gguf::File& file, const model::Program& program,
                std::span<backend::Backend* const> backends, const Workload& work) {
    const double flop =
        plan::flop_per_token(program, work.n_ctx, work.losses) * static_cast<double>(work.n_tokens);
    const std::int64_t width = std::min(program.hidden, kProbeWidth);
    try {
        const double rate = kShareOfProducts * static_cast<double>(backends.size()) *
                            plan::product_rate(*backends.front(), width, width, kProbeSeconds);
        const double reading =
            work.read_bytes > 0 ? static_cast<double>(work.read_bytes) / plan::read_rate(file) : 0.0;
        return std::max(flop / rate, reading);
    } catch (const Error&) {
        return 0;
    }
}

}  // namespace assay::calibrate
