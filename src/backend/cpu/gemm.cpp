#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "backend/cpu/library.h"
#include "core/error.h"

namespace assay::backend::cpu {

AlignedBuffer::AlignedBuffer(std::size_t bytes) {
    constexpr std::size_t kAlignment = 4096;
    size_bytes_ = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size_bytes_));
    if (data_ == nullptr)
        throw_error(ErrorKind::Device, "memory", "{} MiB could not be had; try a smaller --memory or --wave",
                    size_bytes_ >> 20);
}

AlignedBuffer::~AlignedBuffer() { std::free(data_); }

class Product {
  public:
    dnnl::matmul primitive;
    dnnl::memory::desc a, b, c, scratch;
    std::size_t widened_at = 0;     ///< in a call's scratch: where a is widened, then the panel
    std::size_t scratch_bytes = 0;  ///< of a call, all told
};

namespace {

std::size_t round_up_to_line(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

void limit_library(Isa isa) noexcept {
    dnnl::cpu_isa most = dnnl::cpu_isa::all;
    switch (isa) {
        case Isa::Scalar: most = dnnl::cpu_isa::sse41; break;
        case Isa::Avx2: most = dnnl::cpu_isa::avx2; break;
        case Isa::Avx512: most = dnnl::cpu_isa::avx512_core_vnni; break;
        case Isa::Avx512Bf16: most = dnnl::cpu_isa::avx512_core_bf16; break;
        case Isa::Amx: break;
    }
    dnnl::set_max_cpu_isa(most);  // refused once the library has compiled something: then it stays as it is
}

Gemm::Gemm(DType operand, const Kernels& kernels, Isa isa)
    : operand_(operand),
      multiplied_(has_bf16_products(isa) ? operand : DType::F32),
      kernels_(kernels),
      isa_(isa) {}

Gemm::~Gemm() = default;

const Product& Gemm::product(const Shape& shape) const {
    use_one_library_thread();
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Product>& slot = products_[shape];
    if (!slot)
        slot = translate_errors([&] {
            const auto description = describe_product(shape.tile_rows, shape.n_in, shape.cols, multiplied_);
            if (description.weights_desc() != packed_layout(shape.n_in, shape.cols, multiplied_))
                throw_error(ErrorKind::Internal, "oneDNN", "wants another weight layout for {} rows",
                            shape.tile_rows);
            auto product = std::make_unique<Product>(
                Product{dnnl::matmul(description), description.src_desc(), description.weights_desc(),
                        description.dst_desc(), description.scratchpad_desc()});
            product->widened_at = round_up_to_line(product->scratch.get_size());
            product->scratch_bytes = product->widened_at;
            if (widens())
                product->scratch_bytes += round_up_to_line(product->a.get_size()) + product->b.get_size();
            return product;
        });
    return *slot;
}

std::size_t Gemm::scratch_bytes(const Product& product) noexcept { return product.scratch_bytes; }

void Gemm::run(const Product& product, const void* a, const void* panel, float* c, std::byte* scratch) const {
    use_one_library_thread();
    if (widens()) {
        const auto widen = [&](const void* from, const dnnl::memory::desc& wide, std::byte* to) {
            auto* values = reinterpret_cast<float*>(to);
            kernels_.from_bf16(static_cast<const std::uint16_t*>(from),
                               static_cast<std::int64_t>(wide.get_size() / sizeof(float)), values);
            return values;
        };
        std::byte* free = scratch + product.widened_at;
        a = widen(a, product.a, free);
        panel = widen(panel, product.b, free + round_up_to_line(product.a.get_size()));
    }
    translate_errors([&] {
        const dnnl::engine& engine = library_engine();
        thread_local dnnl::stream stream(engine);
        product.primitive.execute(stream, {{DNNL_ARG_SRC, {product.a, engine, const_cast<void*>(a)}},
                                           {DNNL_ARG_WEIGHTS, {product.b, engine, const_cast<void*>(panel)}},
                                           {DNNL_ARG_DST, {product.c, engine, c}},
                                           {DNNL_ARG_SCRATCHPAD, {product.scratch, engine, scratch}}});
    });
}

}  // namespace assay::backend::cpu
