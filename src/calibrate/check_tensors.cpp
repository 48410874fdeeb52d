#include "calibrate/check_tensors.h"

#include <algorithm>
#include <cmath>

#include "core/cpu.h"
#include "core/processors.h"
#include "core/thread_pool.h"
#include "gguf/tensor_name.h"
#include "quant/row_reader.h"

namespace assay::calibrate {

namespace {

constexpr std::uint64_t kTaskBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kSliceBytes = std::uint64_t{64} << 20;  // then its pages are let go

struct Place {
    std::uint64_t row = 0;
    std::uint64_t column = 0;
    float value = 0;
};

/// The first value of rows [first, last) that is not finite.
std::optional<Place> find_in_rows(const gguf::File& model, const gguf::Tensor& tensor, std::uint64_t first,
                                  std::uint64_t last) {
    quant::RowReader reader(*tensor.type, tensor.ne[0], detect_isa());
    const std::byte* data = model.data(tensor).data();
    std::vector<float> row(tensor.ne[0]);
    for (std::uint64_t r = first; r < last; ++r) {
        reader.read(data, r, row.data());
        const auto bad = std::ranges::find_if_not(row, [](float x) { return std::isfinite(x); });
        if (bad != row.end()) return Place{r, static_cast<std::uint64_t>(bad - row.begin()), *bad};
    }
    return std::nullopt;
}

std::optional<Place> find_in_slice(const gguf::File& model, const gguf::Tensor& tensor, std::uint64_t first,
                                   std::uint64_t last, ThreadPool& threads) {
    const std::uint64_t rows_per_task = std::max<std::uint64_t>(1, kTaskBytes / tensor.row_bytes());
    const std::uint64_t n_tasks = (last - first + rows_per_task - 1) / rows_per_task;
    std::vector<std::optional<Place>> found(n_tasks);
    threads.run(static_cast<std::int64_t>(n_tasks), [&](std::int64_t task, int) {
        const std::uint64_t begin = first + static_cast<std::uint64_t>(task) * rows_per_task;
        found[static_cast<std::size_t>(task)] =
            find_in_rows(model, tensor, begin, std::min(last, begin + rows_per_task));
    });
    const auto place = std::ranges::find_if(found, [](const auto& p) { return p.has_value(); });
    return place == found.end() ? std::nullopt : *place;
}

std::optional<Place> find(const gguf::File& model, const gguf::Tensor& tensor, ThreadPool& threads) {
    const std::uint64_t rows_per_slice = std::max<std::uint64_t>(1, kSliceBytes / tensor.row_bytes());
    for (std::uint64_t first = 0; first < tensor.rows(); first += rows_per_slice) {
        const std::uint64_t last = std::min(tensor.rows(), first + rows_per_slice);
        const auto place = find_in_slice(model, tensor, first, last, threads);
        model.shard(tensor.shard)
            .drop(tensor.offset_bytes + first * tensor.row_bytes(), (last - first) * tensor.row_bytes());
        if (place) return place;
    }
    return std::nullopt;
}

/// What to say about the first of these that holds no number.
std::optional<Error> find_first(const gguf::File& model, const Tensors& tensors, int n_threads) {
    ThreadPool threads(n_threads > 0 ? n_threads : available_processors());
    for (const gguf::Tensor* tensor : tensors)
        if (const auto place = find(model, *tensor, threads))
            return Error(ErrorKind::Numeric, tensor->name,
                         fmt::format("holds {} in row {}, column {}; the model file is broken", place->value,
                                     place->row, place->column));
    return std::nullopt;
}

template <typename Keep> Tensors tensors_where(const gguf::File& model, Keep keep) {
    Tensors kept;
    for (const gguf::Tensor& tensor : model.tensors())
        if (keep(tensor.name, gguf::block_of(tensor.name))) kept.push_back(&tensor);
    return kept;
}

bool is_output(std::string_view name) { return name.starts_with("output"); }

}  // namespace

Tensors all_tensors(const gguf::File& model) {
    return tensors_where(model, [](const auto&, auto) { return true; });
}

Tensors unobserved_tensors(const gguf::File& model, std::size_t n_layers) {
    return tensors_where(model, [&](const std::string& name, std::optional<std::int64_t> layer) {
        return layer ? *layer + 1 == static_cast<std::int64_t>(n_layers) : is_output(name);
    });
}

void check_tensors(const gguf::File& model, const Tensors& tensors, int n_threads) {
    if (const auto found = find_first(model, tensors, n_threads)) throw Error(*found);
}

void explain_not_finite(const gguf::File& model, std::size_t n_layers, const Error& error, int n_threads) {
    const auto end = static_cast<std::int64_t>(n_layers);
    const std::int64_t at = gguf::block_of(error.where()).value_or(end);
    const Tensors suspects =
        tensors_where(model, [&](const std::string& name, std::optional<std::int64_t> layer) {
            if (layer) return *layer == at || *layer + 1 == at;
            return at == end || (at == 0 && !is_output(name));  // a tied embedding is both
        });
    if (const auto found = find_first(model, suspects, n_threads))
        throw Error(ErrorKind::Numeric, found->where(),
                    fmt::format("{} ({})", found->message(), error.what()));
    throw Error(ErrorKind::Numeric, error.where(),
                error.message() +
                    "; the weights there are finite, so numbers became too large or the architecture is "
                    "not run as it was meant");
}

}  // namespace assay::calibrate
