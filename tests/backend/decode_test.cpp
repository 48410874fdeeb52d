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

/// Bytes of a scale of moderate size: a half, or a float and anything after it.
void append_scale(std::vector<std::byte>& bytes, std::uint32_t size, std::mt19937& random) {
    const std::size_t first = bytes.size();
    for (std::uint32_t i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(random() & 255u));
    if (size >= 2) bytes[first + (size == 2 ? 1 : 3)] = std::byte{0x3c};  // 2^0 to 2^1, or 2^-7 to 2^-6
}

/// Rows of random blocks whose weights are finite and of moderate size; bf16 products may take a denormal for
/// zero.
std::vector<std::byte> random_rows(const quant::TypeInfo& type, std::int64_t n_in, std::int64_t n_rows,
                                   std::mt19937& random) {
    const std::uint32_t together = type.group_rows;
    std::vector<std::byte> bytes;
    std::vector<float> weights(std::size_t{type.block} * together);
    const auto plausible = [](float w) { return w == 0 || (std::abs(w) > 1e-30f && std::abs(w) < 1000); };
    for (std::int64_t row = 0; row < n_rows; row += together) {
        std::vector<std::byte> scales;
        for (std::uint32_t lane = 0; lane < together; ++lane) append_scale(scales, type.row_meta, random);
        bytes.insert(bytes.end(), scales.begin(), scales.end());
        for (std::int64_t b = 0; b < n_in / type.block; ++b) {
            std::vector<std::byte> block(std::size_t{type.block_bytes} * together);
            const auto is_plausible = [&] {
                std::vector<std::byte> alone = scales;
                alone.insert(alone.end(), block.begin(), block.end());
                type.decode(alone.data(), type.block, weights.data());
                return std::ranges::all_of(weights, plausible);
            };
            const std::size_t scale_bytes =
                type.id == quant::TypeId::BF16_R16 ? block.size() : std::size_t{4} * together;
            int attempts = 0;
            do {
                for (std::byte& byte : block) byte = static_cast<std::byte>(random() & 255u);
                // Where rows lie together, chance would hardly give all of them a good scale at once.
                if (together > 1 && type.row_meta == 0)
                    for (std::size_t i = 0; i < scale_bytes; ++i)
                        block[i] =
                            static_cast<std::byte>(0x28 + random() % 8);  // halves, powers of two, bf16
            } while (!is_plausible() && ++attempts < 200);
            if (attempts == 200) {  // wide integers are hardly ever small
                EXPECT_EQ(together, 1u) << type.name;
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
    const DType operand = backend().operand_dtype();
    reference::Matrix identity(kIn, kIn);
    for (std::int64_t i = 0; i < kIn; ++i) identity.at(i, i) = 1;
    const Stored unit = store(identity, operand);
    for (const quant::TypeInfo& type : quant::all_types()) {
        if (type.decode == nullptr || kIn % type.block != 0) continue;
        for (const float scale : {1.0f, 0.3f}) {
            SCOPED_TRACE(testing::Message() << type.name << " times " << scale);
            const std::int64_t together = type.group_rows;
            const std::int64_t n_out = together == 1 ? 5 : 3 * together;
            const std::vector<std::byte> bytes = random_rows(type, kIn, n_out, random_);
            WeightSource source{&type, bytes, kIn, n_out, scale};
            const MatrixPtr w = backend().prepare(std::span(&source, 1));
            EXPECT_EQ(w->n_in(), kIn);
            EXPECT_EQ(w->n_out(), n_out);
            const Stored out = blank(kIn, n_out, DType::F32);
            backend().linear(unit.view, *w, nullptr, false, out.view);
            const reference::Matrix result = fetch(out.view);
            const Stored rows = blank(n_out, kIn, DType::F32);
            std::vector<std::int32_t> tokens(static_cast<std::size_t>(n_out));
            for (std::int64_t t = 0; t < n_out; ++t)
                tokens[static_cast<std::size_t>(t)] = static_cast<std::int32_t>(n_out - 1 - t);
            source.scale = 1;
            backend().embed(source, tokens, scale, 0, rows.view);
            const reference::Matrix embedded = fetch(rows.view);
            const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(n_out);
            std::vector<float> weights(static_cast<std::size_t>(kIn * together));
            for (std::int64_t o = 0; o < n_out; ++o) {
                if (o % together == 0)
                    type.decode(bytes.data() + static_cast<std::size_t>(o) * row_bytes, kIn, weights.data());
                for (std::int64_t i = 0; i < kIn; ++i) {
                    const float weight = weights[static_cast<std::size_t>(o % together * kIn + i)] * scale;
                    ASSERT_EQ(result.at(i, o), rounded(weight, operand)) << "output " << o << " input " << i;
                    ASSERT_EQ(embedded.at(n_out - 1 - o, i), weight) << "row " << o << " column " << i;
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
