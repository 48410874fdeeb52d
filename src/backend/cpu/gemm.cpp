#include "backend/cpu/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <dnnl.hpp>
#include <new>
#include <omp.h>

#include "core/error.h"

namespace assay::backend::cpu {

namespace {

constexpr std::size_t kAlignment = 4096;
constexpr std::int64_t kColumnStep = 64;
constexpr std::int64_t kMinColumns = 128;
constexpr std::int64_t kMaxColumns = 512;
constexpr std::int64_t kPanelBytes = 1 << 20;  ///< aimed at: about what a core's second-level cache holds

/// Packed layouts must not depend on how many rows a product will have; this many rows decide them.
constexpr std::int64_t kReferenceRows = 256;

dnnl::memory::data_type library_type(DType type) {
    return type == DType::F32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

/// Our threads share the work themselves: one thread per call, also for those that a primitive plans with.
void use_one_library_thread() {
    thread_local const bool done = (omp_set_num_threads(1), true);
    (void)done;
}

std::int64_t panel_columns(std::int64_t n_in, DType type) {
    const std::int64_t fitting = kPanelBytes / (n_in * size_of(type)) / kColumnStep * kColumnStep;
    return std::clamp(fitting, kMinColumns, kMaxColumns);
}

template <typename Body> auto translate_errors(Body body) {
    try {
        return body();
    } catch (const dnnl::error& error) {
        throw_error(ErrorKind::Device, "oneDNN", "{} (status {})", error.message,
                    static_cast<int>(error.status));
    }
}

/// One for the process: streams and primitives of different engines do not mix.
const dnnl::engine& library_engine() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

dnnl::matmul::primitive_desc describe(const Gemm::Shape& shape, DType type) {
    using dims = dnnl::memory::dims;
    const dnnl::memory::desc a({shape.tile_rows, shape.n_in}, library_type(type), dims{shape.n_in, 1});
    const dnnl::memory::desc b({shape.n_in, shape.cols}, library_type(type), dnnl::memory::format_tag::any);
    const dnnl::memory::desc c({shape.tile_rows, shape.cols}, dnnl::memory::data_type::f32,
                               dims{shape.cols, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return {dnnl::matmul::desc(a, b, c), attributes, library_engine()};
}

/// The layout in which products want a panel of this size.
dnnl::memory::desc packed_layout(std::int64_t n_in, std::int64_t cols, DType type) {
    return describe({kReferenceRows, n_in, cols}, type).weights_desc();
}

}  // namespace

AlignedBuffer::AlignedBuffer(std::size_t bytes) {
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

void Gemm::decode_rows(const WeightSource& source, std::int64_t first, std::int64_t count,
                       std::vector<float>& row, std::byte* out) const {
    const quant::DecodeRow decode = quant::decoder(source.type->id, decoder_isa_);
    const std::uint64_t stride = quant::row_bytes(*source.type, static_cast<std::uint64_t>(source.n_in));
    row.resize(static_cast<std::size_t>(source.n_in));
    for (std::int64_t r = 0; r < count; ++r) {
        const std::byte* from = source.bytes.data() + static_cast<std::uint64_t>(first + r) * stride;
        std::byte* to = out + r * source.n_in * size_of(operand_);
        auto* target = operand_ == DType::F32 ? reinterpret_cast<float*>(to) : row.data();
        decode(from, row.size(), target);
        if (source.scale != 1)
            for (std::int64_t i = 0; i < source.n_in; ++i) target[i] *= source.scale;
        if (operand_ == DType::Bf16)
            kernels_.to_bf16(target, source.n_in, reinterpret_cast<std::uint16_t*>(to));
    }
}

void Gemm::pack_panel(const WeightSource& source, std::int64_t first_row, const Panel& panel,
                      const PackedMatrix& matrix) const {
    use_one_library_thread();
    thread_local std::vector<float> row;
    thread_local std::vector<std::byte> rows;
    rows.resize(static_cast<std::size_t>(panel.cols * source.n_in * size_of(operand_)));
    decode_rows(source, first_row, panel.cols, row, rows.data());
    const dnnl::memory::desc plain({source.n_in, panel.cols}, library_type(operand_),
                                   dnnl::memory::dims{1, source.n_in});
    dnnl::memory from(plain, library_engine(), rows.data());
    dnnl::memory to(packed_layout(source.n_in, panel.cols, operand_), library_engine(),
                    matrix.panel_data(panel));
    dnnl::stream stream(library_engine());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
}

std::shared_ptr<const PackedMatrix> Gemm::pack(std::span<const WeightSource> stacked,
                                               ThreadPool& pool) const {
    use_one_library_thread();
    const std::int64_t n_in = stacked.front().n_in;
    const std::int64_t step = panel_columns(n_in, operand_);
    std::vector<Panel> panels;
    std::vector<std::pair<const WeightSource*, std::int64_t>> origins;  ///< per panel: source, its first row
    std::int64_t n_out = 0;
    std::size_t bytes = 0;
    return translate_errors([&] {
        for (const WeightSource& source : stacked) {
            for (std::int64_t first = 0; first < source.n_out; first += step) {
                const std::int64_t cols = std::min(step, source.n_out - first);
                panels.push_back({n_out + first, cols, bytes});
                origins.emplace_back(&source, first);
                const std::size_t size = packed_layout(n_in, cols, operand_).get_size();
                bytes += (size + kAlignment - 1) / kAlignment * kAlignment;
            }
            n_out += source.n_out;
        }
        const auto matrix = std::make_shared<PackedMatrix>(operand_, n_in, n_out, std::move(panels), bytes);
        pool.run(static_cast<std::int64_t>(origins.size()), [&](std::int64_t task, int) {
            const auto& [source, first_row] = origins[static_cast<std::size_t>(task)];
            pack_panel(*source, first_row, matrix->panels()[static_cast<std::size_t>(task)], *matrix);
        });
        return std::shared_ptr<const PackedMatrix>(matrix);
    });
}

const Product& Gemm::product(const Shape& shape) const {
    use_one_library_thread();
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Product>& slot = products_[shape];
    if (!slot)
        slot = translate_errors([&] {
            const auto description = describe(shape, operand_);
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
