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
};

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

Gemm::Gemm(DType operand, const Kernels& kernels, Isa decoder_isa)
    : operand_(operand), kernels_(kernels), decoder_isa_(decoder_isa) {}

Gemm::~Gemm() = default;

const Product& Gemm::product(const Shape& shape) const {
    use_one_library_thread();
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Product>& slot = products_[shape];
    if (!slot)
        slot = translate_errors([&] {
            const auto description = describe_product(shape.tile_rows, shape.n_in, shape.cols, operand_);
            if (description.weights_desc() != packed_layout(shape.n_in, shape.cols, operand_))
                throw_error(ErrorKind::Internal, "oneDNN", "wants another weight layout for {} rows",
                            shape.tile_rows);
            return std::make_unique<Product>(Product{dnnl::matmul(description), description.src_desc(),
                                                     description.weights_desc(), description.dst_desc(),
                                                     description.scratchpad_desc()});
        });
    return *slot;
}

std::size_t Gemm::scratch_bytes(const Product& product) noexcept { return product.scratch.get_size(); }

void Gemm::run(const Product& product, const void* a, const void* panel, float* c, void* scratch) const {
    use_one_library_thread();
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
