#include "calibrate/chunks.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace assay::calibrate {

namespace {

constexpr float kMostWeight = 1024;

/// What these chunks have of something that every token has.
template <typename T>
std::span<const T> part(const Chunks& chunks, const std::vector<T>& of, std::int64_t first,
                        std::int64_t count) {
    return std::span(of).subspan(static_cast<std::size_t>(chunks.starts[static_cast<std::size_t>(first)]),
                                 static_cast<std::size_t>(chunks.tokens_of(first, count)));
}

}  // namespace

bool Chunks::are_plain() const {
    if (!weights.empty() || scored != engine::ScoredTokens::SecondHalf) return false;
    for (std::int64_t chunk = 0; chunk < n_chunks(); ++chunk)
        if (tokens_of(chunk, 1) != n_ctx) return false;
    return true;
}

std::span<const std::int32_t> Chunks::input_range(std::int64_t first, std::int64_t count) const {
    return part(*this, inputs, first, count);
}

std::span<const std::int32_t> Chunks::target_range(std::int64_t first, std::int64_t count) const {
    return part(*this, targets, first, count);
}

engine::Wave Chunks::wave(std::int64_t first, std::int64_t count) const {
    engine::Wave wave;
    wave.first_chunk = first;
    wave.starts =
        std::span(starts).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count + 1));
    wave.inputs = input_range(first, count);
    wave.targets = target_range(first, count);
    if (!weights.empty()) wave.weights = part(*this, weights, first, count);
    wave.scored = scored;
    return wave;
}

void Chunks::leave_out(std::int64_t chunk) {
    const std::int64_t begin = starts[static_cast<std::size_t>(chunk)];
    const std::int64_t length = tokens_of(chunk, 1);
    const auto erase = [&](auto& of) {
        if (!of.empty()) of.erase(of.begin() + begin, of.begin() + begin + length);
    };
    erase(inputs);
    erase(targets);
    erase(weights);
    erase(roles);
    starts.erase(starts.begin() + chunk + 1);
    for (auto start = starts.begin() + chunk + 1; start != starts.end(); ++start) *start -= length;
}

void Chunks::check() const {
    const auto refuse = [](const char* what) { throw_error(ErrorKind::Internal, "chunks", "{}", what); };
    if (starts.empty() || starts.front() != 0) refuse("do not begin at token 0");
    for (std::size_t chunk = 0; chunk + 1 < starts.size(); ++chunk)  // starts[chunk] >= 0 by now
        if (starts[chunk + 1] <= starts[chunk] || starts[chunk + 1] - starts[chunk] > n_ctx)
            refuse("one is empty, or longer than the context");
    const auto n = static_cast<std::size_t>(starts.back());
    if (inputs.size() != n || targets.size() != n || (!weights.empty() && weights.size() != n) ||
        (!roles.empty() && roles.size() != n))
        refuse("have other numbers of tokens than they say");
    const auto is_bad = [](float weight) {
        return !(weight >= 0 && weight <= kMostWeight) || std::floor(weight * 1024) != weight * 1024;
    };
    if (std::ranges::any_of(weights, is_bad)) refuse("a weight is no multiple of 1/1024 from 0 to 1024");
}

std::vector<std::int64_t> equal_starts(std::int64_t n_chunks, std::int64_t n_ctx) {
    std::vector<std::int64_t> starts;
    for (std::int64_t chunk = 0; chunk <= n_chunks; ++chunk) starts.push_back(chunk * n_ctx);
    return starts;
}

}  // namespace assay::calibrate
