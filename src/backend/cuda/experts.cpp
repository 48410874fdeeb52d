// The products of experts: their rows gathered side by side, one product an expert, added back by row.
#include <algorithm>

#include "backend/cuda/operations.h"
#include "backend/shapes.h"

namespace assay::backend::cuda {

namespace {

/// Rows that choose the algorithm: a wave sends about so many to each expert.
constexpr std::int64_t kExpertRows = 4096;

/// Elements of one allocation, aligned for vector loads.
std::size_t padded(std::int64_t n, std::size_t size) {
    return (static_cast<std::size_t>(n) * size + 255) / 256 * 256;
}

}  // namespace

DeviceRouting::DeviceRouting(const DevicePtr& device, View logits, const RouteArgs& args, Rows rows)
    : memory_(device, 5 * padded(rows.count() * args.n_used, 4) + 2 * padded(rows.n_chunks * logits.cols, 4),
              device->compute()) {
    view_.n_rows = rows.count();
    view_.n_experts = logits.cols / args.logits_per_expert;
    view_.n_used = args.n_used;
    view_.n_chunks = rows.n_chunks;
    view_.chunk_tokens = rows.chunk_tokens;
    if (rows.table != nullptr) {
        view_.row_starts = table_of(rows)->row_starts(rows);
        view_.row_weights = table_of(rows)->device_weights(rows);
    }
    std::byte* next = memory_.data();
    const auto take = [&](std::int64_t n) { return std::exchange(next, next + padded(n, 4)); };
    const std::int64_t pairs = view_.n_rows * view_.n_used;
    const std::int64_t cells = view_.n_chunks * view_.n_experts;
    view_.experts = reinterpret_cast<std::int32_t*>(take(pairs));
    view_.weights = reinterpret_cast<float*>(take(pairs));
    view_.positions = reinterpret_cast<std::int32_t*>(take(pairs));
    view_.rows = reinterpret_cast<std::int32_t*>(take(pairs));
    view_.placed_weights = reinterpret_cast<float*>(take(pairs));
    view_.counts = reinterpret_cast<std::int32_t*>(take(cells));
    view_.starts = reinterpret_cast<std::int32_t*>(take(cells));
    if (!args.chosen.empty())
        check(cudaMemcpyAsync(view_.experts, args.chosen.data(), args.chosen.size_bytes(),
                              cudaMemcpyHostToDevice, device->compute()),
              "copying the choice of experts");
    route_rows(logits, args, view_, device->compute());
    counts_.resize(static_cast<std::size_t>(cells));
    starts_.resize(static_cast<std::size_t>(view_.n_experts) + 1);
    if (view_.n_rows == 0) return;
    check(cudaMemcpyAsync(counts_.data(), view_.counts, counts_.size() * sizeof(std::int32_t),
                          cudaMemcpyDeviceToHost, device->compute()),
          "copying the routing");
    check(cudaStreamSynchronize(device->compute()), "waiting for the routing");
    if (!rows.weights().empty()) weigh(rows, device->compute());
    for (std::int64_t e = 0; e < view_.n_experts; ++e) {
        std::int64_t total = 0;
        for (std::int64_t chunk = 0; chunk < view_.n_chunks; ++chunk)
            total += counts_[static_cast<std::size_t>(chunk * view_.n_experts + e)];
        starts_[static_cast<std::size_t>(e) + 1] = starts_[static_cast<std::size_t>(e)] + total;
    }
}

void DeviceRouting::weigh(Rows rows, cudaStream_t stream) {
    const std::span<const float> weights = rows.weights();
    std::vector<std::int32_t> experts(static_cast<std::size_t>(view_.n_rows * view_.n_used));
    check(cudaMemcpyAsync(experts.data(), view_.experts, experts.size() * sizeof(std::int32_t),
                          cudaMemcpyDeviceToHost, stream),
          "copying the choice of experts");
    check(cudaStreamSynchronize(stream), "waiting for the choice of experts");
    weighted_.resize(counts_.size());
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
        for (std::int64_t row = rows.first_row(chunk); row < rows.first_row(chunk + 1); ++row)
            for (std::int64_t slot = 0; slot < view_.n_used; ++slot) {
                const auto expert = experts[static_cast<std::size_t>(row * view_.n_used + slot)];
                weighted_[static_cast<std::size_t>(chunk * view_.n_experts + expert)] +=
                    static_cast<double>(weights[static_cast<std::size_t>(row)]);
            }
}

RoutingPtr CudaBackend::route(View logits, const RouteArgs& args, Rows rows) {
    device_->use();
    check_routing(logits, args, rows);
    return std::make_unique<DeviceRouting>(device_, logits, args, rows);
}

void CudaBackend::experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) {
    device_->use();
    check_experts(x, batch, rows, out);
    const auto& lists = static_cast<const DeviceRouting&>(routing);
    const auto n = static_cast<std::int64_t>(batch.gate_up.size());
    if (n == 0) return;
    if (rows.count() == 0) {
        const auto clear_sums = [&](const Sums& sums, std::int64_t cols) {
            for (float* of : {sums.squares, sums.plain})
                if (of != nullptr) clear({of, DType::F32, rows.n_chunks * n, cols, cols});
        };
        clear_sums(batch.input_sums, x.cols);
        if (!batch.down.empty()) clear_sums(batch.down_sums, batch.down.front()->n_in());
        return;
    }
    // Gathered operand, its product, the activated operand and what returns.
    const std::int64_t inner_cols = batch.down.empty() ? 0 : batch.gate_up.front()->n_out();
    const std::int64_t ffn = batch.down.empty() ? 0 : batch.down.front()->n_in();
    const std::int64_t pair_bytes = (x.cols + inner_cols + ffn) * size_of(dtype_) + out.cols * 4;
    const std::int64_t most_pairs = static_cast<std::int64_t>(memory_bytes_ / kExpertShare) / pair_bytes;
    for (std::int64_t first = 0; first < n;) {
        const std::int64_t base = lists.start(batch.first + first);
        std::int64_t last = first + 1;
        while (last < n && lists.start(batch.first + last + 1) - base <= most_pairs) ++last;
        run_experts(x, lists, batch, first, last - first, out);
        first = last;
    }
}

void CudaBackend::run_experts(View x, const DeviceRouting& routing, const ExpertBatch& batch,
                              std::int64_t first, std::int64_t n, View out) {
    PackArgs args;
    args.routing = routing.view();
    args.first = batch.first + first;
    args.n = n;
    args.base = routing.start(args.first);
    args.sums_batch = static_cast<std::int64_t>(batch.gate_up.size());
    args.sums_first = first;
    args.weigh_input = batch.weigh_input;
    const std::int64_t pairs = routing.start(args.first + n) - args.base;
    const std::int64_t inner_cols = batch.down.empty() ? 0 : batch.gate_up.front()->n_out();
    const std::int64_t ffn = batch.down.empty() ? 0 : batch.down.front()->n_in();
    const auto rows_of = [&](const Temporary<std::byte>& memory, std::int64_t cols, DType dtype) {
        return View{memory.get(), dtype, pairs, cols, cols};
    };
    const Temporary<std::byte> gathered_memory(*device_, pairs * x.cols * size_of(dtype_));
    const Temporary<std::byte> product_memory(*device_, pairs * inner_cols * size_of(dtype_));
    const Temporary<std::byte> hidden_memory(*device_, pairs * ffn * size_of(dtype_));
    const Temporary<std::byte> result_memory(*device_, pairs * out.cols * 4);
    const View gathered = rows_of(gathered_memory, x.cols, dtype_);
    const View product = rows_of(product_memory, inner_cols, dtype_);
    const View hidden = rows_of(hidden_memory, ffn, dtype_);
    const View result = rows_of(result_memory, out.cols, DType::F32);
    const auto each_expert = [&](std::span<const MatrixPtr> matrices, const View& from, const View& to) {
        std::vector<Product> products;
        for (std::int64_t e = first; e < first + n; ++e) {
            const std::int64_t start = routing.start(batch.first + e) - args.base;
            const std::int64_t count = routing.start(batch.first + e + 1) - args.base - start;
            const auto& matrix = static_cast<const DeviceMatrix&>(*matrices[static_cast<std::size_t>(e)]);
            if (count > 0)
                products.push_back(product_of(from.row_range(start, count), matrix, nullptr, false,
                                              to.row_range(start, count), kExpertRows));
        }
        products_.multiply_all(products);
    };
    gather_rows(args, x, gathered, batch.input_sums, device_->compute());
    if (batch.down.empty()) {
        each_expert(batch.gate_up, gathered, result);
        return scatter_rows(args, result, batch.gate_up_bias, batch.function.activation, out,
                            device_->compute());
    }
    each_expert(batch.gate_up, gathered, product);
    gate_packed(args, product, {batch.function, batch.gated, batch.gate_up_bias}, hidden, batch.down_sums,
                device_->compute());
    each_expert(batch.down, hidden, result);
    scatter_rows(args, result, batch.down_bias, Activation::Identity, out, device_->compute());
}

}  // namespace assay::backend::cuda
