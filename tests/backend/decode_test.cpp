// Weights of every type, through prepare() and a product with the identity, and through embed().
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/backend_case.h"
#include "core/error.h"
#include "core/half.h"

namespace assay::backend {
namespace {

using DecodeTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, DecodeTest, testing::ValuesIn(all_cases()), name_of);

/// Rows of random blocks whose weights are finite and of moderate size; bf16 products may take a denormal for
/// zero.
std::vector<std::byte> random_rows(const quant::TypeInfo& type, std::int64_t n_in, std::int64_t n_rows,
                                   std::mt19937& random) {
    std::vector<std::byte> bytes;
    std::vector<float> weights(type.block);
    const auto plausible = [](float w) { return w == 0 || (std::abs(w) > 1e-30f && std::abs(w) < 1000); };
    for (std::int64_t row = 0; row < n_rows; ++row) {
        bytes.resize(bytes.size() + type.row_meta);
        for (std::int64_t b = 0; b < n_in / type.block; ++b) {
            std::vector<std::byte> block(type.block_bytes);
            const auto is_plausible = [&] {
                type.decode(block.data(), type.block, weights.data());
                return std::ranges::all_of(weights, plausible);
            };
            int attempts = 0;
            do {
                for (std::byte& byte : block) byte = static_cast<std::byte>(random() & 255u);
            } while (!is_plausible() && ++attempts < 200);
            if (attempts == 200) {  // wide integers are hardly ever small
                std::ranges::fill(block, std::byte{0});
                block.front() = static_cast<std::byte>(random() & 127u);
            }
            bytes.insert(bytes.end(), block.begin(), block.end());
        }
    }
    return bytes;
}

double rounded(float x, DType dtype) { return dtype == DType::F32 ? x : bf16_to_float(float_to_bf16(x)); }

TEST_P(DecodeTest, EveryTypeBitForBit) {
    constexpr std::int64_t kIn = 512;
    constexpr std::int64_t kOut = 5;
    const DType operand = backend().operand_dtype();
    reference::Matrix identity(kIn, kIn);
    for (std::int64_t i = 0; i < kIn; ++i) identity.at(i, i) = 1;
    const Stored unit = store(identity, operand);
    for (const quant::TypeInfo& type : quant::all_types()) {
        if (type.decode == nullptr || kIn % type.block != 0) continue;
        for (const float scale : {1.0f, 0.3f}) {
            SCOPED_TRACE(testing::Message() << type.name << " times " << scale);
            const std::vector<std::byte> bytes = random_rows(type, kIn, kOut, random_);
            WeightSource source{&type, bytes, kIn, kOut, scale};
            const MatrixPtr w = backend().prepare(std::span(&source, 1));
            EXPECT_EQ(w->n_in(), kIn);
            EXPECT_EQ(w->n_out(), kOut);
            const Stored out = blank(kIn, kOut, DType::F32);
            backend().linear(unit.view, *w, nullptr, false, out.view);
            const reference::Matrix result = fetch(out.view);
            const Stored rows = blank(kOut, kIn, DType::F32);
            std::vector<std::int32_t> tokens(kOut);
            for (std::int32_t t = 0; t < kOut; ++t) tokens[static_cast<std::size_t>(t)] = kOut - 1 - t;
            source.scale = 1;
            backend().embed(source, tokens, scale, 0, rows.view);
            const reference::Matrix embedded = fetch(rows.view);
            const std::size_t row_bytes = bytes.size() / kOut;
            std::vector<float> weights(kIn);
            for (std::int64_t o = 0; o < kOut; ++o) {
                type.decode(bytes.data() + static_cast<std::size_t>(o) * row_bytes, kIn, weights.data());
                for (std::int64_t i = 0; i < kIn; ++i) {
                    const float weight = weights[static_cast<std::size_t>(i)] * scale;
                    ASSERT_EQ(result.at(i, o), rounded(weight, operand)) << "output " << o << " input " << i;
                    ASSERT_EQ(embedded.at(kOut - 1 - o, i), weight) << "row " << o << " column " << i;
                }
            }
        }
    }
}

TEST_P(DecodeTest, EmbedsSomeColumns) {
    constexpr std::int64_t kIn = 512;
    for (const auto id : {quant::TypeId::F32, quant::TypeId::F16, quant::TypeId::Q8_0, quant::TypeId::Q4_K,
                          quant::TypeId::IQ2_XXS}) {
        const quant::TypeInfo& type = quant::type_info(id);
        const std::vector<std::byte> bytes = random_rows(type, kIn, 4, random_);
        const WeightSource source{&type, bytes, kIn, 4, 0.5f};
        const std::vector<std::int32_t> tokens{3, 0, 3, 2, 1};
        const Stored whole = blank(5, kIn, DType::F32);
        backend().embed(source, tokens, 3, 0, whole.view);
        const reference::Matrix rows = fetch(whole.view);
        for (const auto& [first, count] : {std::pair<std::int64_t, std::int64_t>{0, 512},
                                           {0, 32},
                                           {256, 256},
                                           {5, 7},
                                           {9, 100},
                                           {511, 1}}) {
            SCOPED_TRACE(testing::Message() << type.name << " columns " << first << " and " << count);
            const Stored some = blank(5, count, DType::F32);
            backend().embed(source, tokens, 3, first, some.view);
            const reference::Matrix part = fetch(some.view);
            for (std::int64_t r = 0; r < 5; ++r)
                for (std::int64_t c = 0; c < count; ++c) ASSERT_EQ(part.at(r, c), rows.at(r, first + c));
        }
    }
}

TEST_P(DecodeTest, StacksMatrices) {
    const DType operand = backend().operand_dtype();
    const std::vector<float> first = random_floats(6 * 40);
    const std::vector<float> second = random_floats(3 * 40);
    const auto& f32_type = quant::type_info(quant::TypeId::F32);
    const std::vector<WeightSource> sources{{&f32_type, std::as_bytes(std::span(first)), 40, 6, 1},
                                            {&f32_type, std::as_bytes(std::span(second)), 40, 3, 2}};
    const MatrixPtr w = backend().prepare(sources);
    ASSERT_EQ(w->n_out(), 9);
    reference::Matrix identity(40, 40);
    for (std::int64_t i = 0; i < 40; ++i) identity.at(i, i) = 1;
    const Stored unit = store(identity, operand);
    const Stored out = blank(40, 9, DType::F32);
    backend().linear(unit.view, *w, nullptr, false, out.view);
    const reference::Matrix result = fetch(out.view);
    for (std::int64_t i = 0; i < 40; ++i)
        for (std::int64_t o = 0; o < 9; ++o) {
            const float weight = o < 6 ? first[static_cast<std::size_t>(o * 40 + i)]
                                       : second[static_cast<std::size_t>((o - 6) * 40 + i)] * 2;
            ASSERT_EQ(result.at(i, o), rounded(weight, operand));
        }
}

TEST_P(DecodeTest, RefusesATokenWithoutARow) {
    const std::vector<float> table = random_floats(4 * 32);
    const WeightSource source{&quant::type_info(quant::TypeId::F32), std::as_bytes(std::span(table)), 32, 4,
                              1};
    const Stored out = blank(1, 32, DType::F32);
    for (const std::int32_t token : {-1, 4})
        EXPECT_THROW(backend().embed(source, std::span(&token, 1), 1, 0, out.view), Error);
}

}  // namespace
}  // namespace assay::backend
