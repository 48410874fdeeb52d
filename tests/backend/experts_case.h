// A small network of experts, and what a backend leaves of it.
#pragma once

#include <string>
#include <vector>

#include "backend/backend_case.h"

namespace assay::backend {

inline constexpr std::int64_t kExperts = 8;
inline constexpr std::int64_t kHidden = 96;
inline constexpr std::int64_t kOut = 72;
inline constexpr std::int64_t kFfn = 64;

/// What the experts of a network are.
struct Kind {
    GateFunction function{};
    bool gated = true;
    bool biases = false;
    bool weigh_input = false;
    bool down = true;

    std::int64_t inner() const { return down ? (gated ? 2 : 1) * kFfn : kOut; }
};

struct Network {
    Kind kind;
    reference::Matrix x;
    reference::Matrix logits;
    reference::Matrix before;
    std::vector<reference::Matrix> gate_up;
    std::vector<reference::Matrix> down;
    std::vector<float> gate_up_bias;
    std::vector<float> down_bias;
    std::vector<MatrixPtr> device_gate_up;
    std::vector<MatrixPtr> device_down;
};

struct Pass {
    std::vector<std::byte> out;
    std::vector<float> input_squares;
    std::vector<float> input_plain;
    std::vector<float> down_squares;
    std::vector<float> down_plain;
    std::vector<double> counts;
};

class ExpertsTest : public BackendTest {
  protected:
    Network make(std::int64_t n_rows, const Kind& kind = {}, std::int64_t logits_per_expert = 1) {
        Network n;
        n.kind = kind;
        n.x = random(n_rows, kHidden, DType::F32);
        n.logits = random(n_rows, kExperts * logits_per_expert, DType::F32, 1.5);
        // Expert 4 is never chosen.
        for (std::int64_t r = 0; r < n_rows; ++r)
            for (std::int64_t i = 0; i < logits_per_expert; ++i)
                n.logits.at(r, 4 * logits_per_expert + i) = -20;
        n.before = random(n_rows, kOut, DType::F32);
        if (kind.biases) {
            n.gate_up_bias = random_floats(kExperts * kind.inner());
            n.down_bias = random_floats(kExperts * kOut);
        }
        for (std::int64_t e = 0; e < kExperts; ++e) {
            n.gate_up.push_back(random(kind.inner(), kHidden, backend().operand_dtype(), 0.1));
            n.device_gate_up.push_back(prepare(n.gate_up.back()));
            if (!kind.down) continue;
            n.down.push_back(random(kOut, kFfn, backend().operand_dtype(), 0.1));
            n.device_down.push_back(prepare(n.down.back()));
        }
        return n;
    }

    /// Experts in batches of the given sizes, rows from `first` on.
    Pass run(const Network& n, RouteArgs args, Rows rows, std::int64_t first,
             const std::vector<std::int64_t>& batches) {
        if (!args.chosen.empty())
            args.chosen = args.chosen.subspan(static_cast<std::size_t>(first * args.n_used),
                                              static_cast<std::size_t>(rows.count() * args.n_used));
        const BufferPtr gate_up_bias = store(n.gate_up_bias), down_bias = store(n.down_bias);
        const Stored x = store(n.x, DType::F32);
        const Stored logits = store(n.logits, DType::F32);
        const Stored out = store(n.before, DType::F32);
        const View x_view = x.view.row_range(first, rows.count());
        const View out_view = out.view.row_range(first, rows.count());
        const RoutingPtr routing = backend().route(logits.view.row_range(first, rows.count()), args, rows);
        Pass pass;
        for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
            for (std::int64_t e = 0; e < kExperts; ++e) pass.counts.push_back(routing->count(chunk, e));
        const auto size = static_cast<std::size_t>(rows.n_chunks * kExperts);
        pass.input_squares.resize(size * kHidden);
        pass.input_plain.resize(size * kHidden);
        pass.down_squares.resize(size * kFfn);
        pass.down_plain.resize(size * kFfn);
        std::int64_t expert = 0;
        for (const std::int64_t n_batch : batches) {
            const std::int64_t sums_rows = rows.n_chunks * n_batch;
            const Stored is = blank(sums_rows, kHidden, DType::F32),
                         ip = blank(sums_rows, kHidden, DType::F32);
            const Stored ds = blank(sums_rows, kFfn, DType::F32), dp = blank(sums_rows, kFfn, DType::F32);
            ExpertBatch batch;
            batch.first = expert;
            const auto at = static_cast<std::size_t>(expert);
            const auto count = static_cast<std::size_t>(n_batch);
            batch.gate_up = std::span(n.device_gate_up).subspan(at, count);
            if (n.kind.down) batch.down = std::span(n.device_down).subspan(at, count);
            if (n.kind.biases) {
                batch.gate_up_bias = gate_up_bias->f32() + expert * n.kind.inner();
                batch.down_bias = down_bias->f32() + expert * kOut;
            }
            batch.function = n.kind.function;
            batch.gated = n.kind.gated;
            batch.weigh_input = n.kind.weigh_input;
            batch.input_sums = {is.buffer->f32(), ip.buffer->f32()};
            if (n.kind.down) batch.down_sums = {ds.buffer->f32(), dp.buffer->f32()};
            backend().experts(x_view, *routing, batch, rows, out_view);
            const auto spread = [&](const View& view, std::vector<float>& to) {
                const reference::Matrix m = fetch(view);
                for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
                    for (std::int64_t e = 0; e < n_batch; ++e)
                        for (std::int64_t c = 0; c < m.cols; ++c)
                            to[static_cast<std::size_t>((chunk * kExperts + expert + e) * m.cols + c)] =
                                static_cast<float>(m.at(chunk * n_batch + e, c));
            };
            spread(is.view, pass.input_squares);
            spread(ip.view, pass.input_plain);
            spread(ds.view, pass.down_squares);
            spread(dp.view, pass.down_plain);
            expert += n_batch;
        }
        pass.out = fetch_bytes(out_view);
        return pass;
    }
};

inline RouteArgs route_args(Gating gating, bool normalise) {
    RouteArgs args;
    args.n_used = 3;
    args.gating = gating;
    args.normalise = normalise;
    args.weight_scale = 1.5f;
    return args;
}

}  // namespace assay::backend
