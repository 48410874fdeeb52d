// Decoding speed of every type on one core, input and output within the second-level cache, beside a plain
// copy of the same output. Checks the vector decoders against the scalar ones before it times them.
#include <benchmark/benchmark.h>
#include <cstring>
#include <fmt/format.h>
#include <random>
#include <vector>

#include "quant/decode.h"

namespace {

using namespace assay;

constexpr std::size_t kWeights = 64 * 1024;  // 256 KiB of floats, in one row or as many as lie together

/// Random codes under scales that stay finite: no byte has all exponent bits of a half set.
std::vector<std::byte> random_row(const quant::TypeInfo& type) {
    std::mt19937 random(1);
    std::vector<std::byte> row(quant::row_bytes(type, kWeights / type.group_rows) * type.group_rows);
    for (std::byte& b : row) b = static_cast<std::byte>(random() & 0xbf);
    return row;
}

void count_floats(benchmark::State& state) {
    state.counters["out"] =
        benchmark::Counter(static_cast<double>(kWeights * sizeof(float)),
                           benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

void decode(benchmark::State& state, const quant::TypeInfo& type, Isa isa) {
    const std::vector<std::byte> row = random_row(type);
    const std::size_t n_in = kWeights / type.group_rows;
    std::vector<float> out(kWeights);
    std::vector<float> expected(kWeights);
    const quant::DecodeRows decode_rows = quant::decoder(type.id, isa);
    type.decode(row.data(), n_in, expected.data());
    decode_rows(row.data(), n_in, out.data());
    if (std::memcmp(out.data(), expected.data(), sizeof(float) * kWeights) != 0) {
        state.SkipWithError("differs from the scalar decoder");
        return;
    }
    for (auto _ : state) {
        decode_rows(row.data(), n_in, out.data());
        benchmark::ClobberMemory();
    }
    const auto iterations = static_cast<std::int64_t>(state.iterations());
    state.SetBytesProcessed(iterations * static_cast<std::int64_t>(row.size()));
    state.SetItemsProcessed(iterations * static_cast<std::int64_t>(kWeights));
    count_floats(state);
}

void copy(benchmark::State& state) {
    const std::vector<float> in(kWeights, 1.0f);
    std::vector<float> out(kWeights);
    for (auto _ : state) {
        std::memcpy(out.data(), in.data(), sizeof(float) * kWeights);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(sizeof(float) * kWeights));
    count_floats(state);
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::RegisterBenchmark("memcpy", copy);
    for (const quant::TypeInfo& type : quant::all_types())
        for (const Isa isa : {Isa::Scalar, Isa::Avx2, Isa::Avx512}) {
            if (isa > detect_isa()) continue;
            if (isa != Isa::Scalar && quant::decoder(type.id, isa) == type.decode) continue;
            benchmark::RegisterBenchmark(fmt::format("{}/{}", type.name, to_string(isa)).c_str(), decode,
                                         type, isa);
        }
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
