#include "calibrate/rounding.h"

#include <algorithm>
#include <cmath>

#include "core/cpu.h"
#include "core/error.h"
#include "quant/decode.h"
#include "quant/encode.h"
#include "recipe/guide.h"

namespace assay::calibrate {

namespace {

/// Rows that one task rounds; a multiple of all rows that lie together.
constexpr std::int64_t kRowsPerTask = 16;

}  // namespace

const recipe::InputEnergy& Rounder::importance_of(const std::string& weight) {
    const auto known = importance_.find(weight);
    if (known != importance_.end()) return known->second;
    const auto entry = matrix_.entries.find(weight);
    return importance_
        .emplace(weight, recipe::InputEnergy(model_.get(weight),
                                             entry == matrix_.entries.end() ? nullptr : &entry->second))
        .first->second;
}

std::vector<std::byte> Rounder::round(const std::string& weight, std::int64_t first_row,
                                      const backend::WeightSource& plain, const quant::TypeInfo& type) {
    const recipe::InputEnergy& importance = importance_of(weight);
    const auto n_in = static_cast<std::size_t>(plain.n_in);
    const std::size_t from_bytes = plain.bytes.size() / static_cast<std::size_t>(plain.n_out);
    const std::size_t to_bytes = quant::row_bytes(type, n_in);
    const quant::DecodeRows decode = quant::decoder(plain.type->id, detect_isa());
    const quant::EncodeRow encode = quant::find_encoder(type.id);
    std::vector<std::byte> rounded(to_bytes * static_cast<std::size_t>(plain.n_out));
    const std::int64_t n_tasks = (plain.n_out + kRowsPerTask - 1) / kRowsPerTask;
    threads_.run(n_tasks, [&](std::int64_t task, int) {
        std::vector<float> group(n_in * plain.type->group_rows);
        std::vector<float> guide;
        const std::int64_t end = std::min(plain.n_out, (task + 1) * kRowsPerTask);
        for (std::int64_t r = task * kRowsPerTask; r < end; ++r) {
            const auto at = static_cast<std::size_t>(r);
            const std::size_t lane = at % plain.type->group_rows;
            if (lane == 0) decode(plain.bytes.data() + at * from_bytes, n_in, group.data());
            const std::span<const float> row(group.data() + lane * n_in, n_in);
            if (!std::ranges::all_of(row, [](float w) { return std::isfinite(w); }))
                throw_error(ErrorKind::Numeric, weight, "a weight is not finite");
            std::span<const float> energy;
            if (importance.has_data()) energy = importance.of_row(static_cast<std::uint64_t>(first_row + r));
            encode(row.data(), n_in, recipe::quantiser_guide(type.id, row, energy, guide),
                   rounded.data() + at * to_bytes);
        }
    });
    return rounded;
}

backend::WeightSource Rounding::replace(const std::string& weight, std::int64_t first_row,
                                        const backend::WeightSource& plain) {
    if (plain.type->id == type_.id) return plain;
    backend::WeightSource source = plain;
    source.type = &type_;
    source.bytes = bytes_.emplace_back(rounder_.round(weight, first_row, plain, type_));
    return source;
}

}  // namespace assay::calibrate
