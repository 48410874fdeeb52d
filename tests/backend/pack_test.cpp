// Weights in the layout of the CPU backend's products, against the library's own reorder, bit for bit.
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "backend/cpu/gemm.h"
#include "backend/cpu/library.h"

namespace assay::backend::cpu {
namespace {

std::vector<Isa> levels() {
    std::vector<Isa> all;
    for (const Isa isa : {Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx})
        if (isa <= detect_isa()) all.push_back(isa);
    return all;
}

std::vector<std::uint32_t> counted(std::int64_t n) {
    std::vector<std::uint32_t> words(static_cast<std::size_t>(n));
    std::uint32_t next = 1;
    for (std::uint32_t& word : words) word = next++;
    return words;
}

TEST(Transpose, EveryShapeAndStride) {
    for (const Isa isa : levels())
        for (const auto& [n_rows, n_cols] : {std::pair{16, 16}, {16, 48}, {1, 7}, {5, 33}, {40, 20}, {0, 4}})
            for (const int more : {0, 3}) {
                SCOPED_TRACE(testing::Message() << to_string(isa) << " " << n_rows << " x " << n_cols);
                const std::int64_t in_stride = n_cols + more;
                const std::int64_t out_stride = n_rows + more;
                const auto in = counted(n_rows * in_stride);
                std::vector<std::uint32_t> out(static_cast<std::size_t>(n_cols * out_stride));
                auto expected = out;
                for (std::int64_t r = 0; r < n_rows; ++r)
                    for (std::int64_t c = 0; c < n_cols; ++c)
                        expected[static_cast<std::size_t>(c * out_stride + r)] =
                            in[static_cast<std::size_t>(r * in_stride + c)];
                kernels_for(isa, DType::Bf16)
                    .transpose(in.data(), in_stride, n_rows, n_cols, out.data(), out_stride);
                EXPECT_EQ(out, expected);
            }
}

/// What is fresh from the system holds zeros.
std::shared_ptr<const PageMemory> take_marked(PagePool& pool, std::size_t bytes, int mark) {
    auto memory = pool.take(bytes);
    memory->bytes()[0] = static_cast<std::byte>(mark);
    return memory;
}
int mark_of(const PageMemory& memory) { return std::to_integer<int>(memory.bytes()[0]); }

TEST(PagePool, UsesMemoryAgain) {
    PagePool pool;
    take_marked(pool, 1000, 1);
    auto again = pool.take(900);
    EXPECT_EQ(mark_of(*again), 1);
    EXPECT_EQ(again->bytes().size(), 1000);
    again.reset();
    EXPECT_EQ(mark_of(*pool.take(700)), 0) << "1000 are too many";
}

TEST(PagePool, KeepsNoMoreThanWasInUseAtOneTime) {
    PagePool pool;
    auto first = take_marked(pool, 1000, 1), second = take_marked(pool, 1000, 2);
    first.reset();
    second.reset();
    const auto other = pool.take(100);  // the first has to go
    const auto third = pool.take(1000), fourth = pool.take(1000);
    EXPECT_EQ(mark_of(*third), 2);
    EXPECT_EQ(mark_of(*fourth), 0);
}

TEST(PagePool, MayGoBeforeItsMemory) {
    std::shared_ptr<const PageMemory> memory;
    {
        PagePool pool;
        memory = pool.take(1000);
    }
    memory->bytes()[999] = std::byte{1};
}

struct Case {
    std::int64_t n_in;
    std::int64_t n_out;
};

class PackTest : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Operands, PackTest, testing::Values(DType::F32, DType::Bf16),
                         [](const auto& operand) { return operand.param == DType::F32 ? "f32" : "bf16"; });

/// Floats that are bf16's values, as bf16.
std::vector<std::byte> upper_halves(std::span<const std::byte> floats) {
    std::vector<std::byte> halves;
    for (std::size_t i = 0; i < floats.size(); i += 4)
        halves.insert(halves.end(), {floats[i + 2], floats[i + 3]});
    return halves;
}

TEST_P(PackTest, IsWhatTheLibraryWouldMake) {
    const DType operand = GetParam();
    ThreadPool pool(2);
    use_one_library_thread();
    for (const Isa isa : levels()) {
        const DType multiplied = has_bf16_products(isa) ? operand : DType::F32;
        for (const auto& [n_in, n_out] : {Case{64, 64}, {33, 100}, {100, 7}, {576, 1536}, {2048, 700}}) {
            SCOPED_TRACE(testing::Message() << to_string(isa) << " " << n_in << " x " << n_out);
            std::mt19937 random(1);
            std::vector<float> weights(static_cast<std::size_t>(n_in * n_out));
            for (float& w : weights) w = static_cast<float>(random() % 255) - 127.0f;  // also bf16's
            const WeightSource source{&quant::type_info(quant::TypeId::F32),
                                      std::as_bytes(std::span(weights)), n_in, n_out, 0.5f};
            const Gemm gemm(operand, kernels_for(isa, operand), isa);
            const auto packed = gemm.pack(std::span(&source, 1), pool);
            for (float& w : weights) w *= 0.5f;
            std::int64_t n_cols = 0;
            for (const Panel& panel : packed->panels()) {
                const dnnl::memory::desc plain({n_in, panel.cols}, dnnl::memory::data_type::f32,
                                               dnnl::memory::dims{1, n_in});
                dnnl::memory from(plain, library_engine(), weights.data() + panel.first_col * n_in);
                dnnl::memory to(packed_layout(n_in, panel.cols, multiplied), library_engine());
                std::vector<std::byte> expected(to.get_desc().get_size());
                to.set_data_handle(expected.data());
                dnnl::stream stream(library_engine());
                dnnl::reorder(from, to).execute(stream, from, to);
                stream.wait();
                if (multiplied != operand) expected = upper_halves(expected);
                ASSERT_EQ(std::memcmp(packed->panel_data(panel), expected.data(), expected.size()), 0)
                    << "panel at " << panel.first_col;
                n_cols += panel.cols;
            }
            EXPECT_EQ(n_cols, n_out);
        }
    }
}

}  // namespace
}  // namespace assay::backend::cpu
