// What all uses of oneDNN share: its engine, types, errors, threads, and the layout it wants of weights.
#pragma once

#include <cstdint>
#include <dnnl.hpp>
#include <omp.h>

#include "backend/backend.h"
#include "core/error.h"

namespace assay::backend::cpu {

inline dnnl::memory::data_type library_type(DType type) {
    return type == DType::F32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

/// One for the process: streams and primitives of different engines do not mix.
inline const dnnl::engine& library_engine() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

/// Our threads share the work themselves: one thread per call, also for those that a primitive plans with.
inline void use_one_library_thread() {
    thread_local const bool done = (omp_set_num_threads(1), true);
    (void)done;
}

template <typename Body> auto translate_errors(Body body) {
    try {
        return body();
    } catch (const dnnl::error& error) {
        throw_error(ErrorKind::Device, "oneDNN", "{} (status {})", error.message,
                    static_cast<int>(error.status));
    }
}

/// [rows, n_in] * [n_in, cols] to f32, rows of both dense, the weights as the library likes them best.
inline dnnl::matmul::primitive_desc describe_product(std::int64_t rows, std::int64_t n_in, std::int64_t cols,
                                                     DType type) {
    using dims = dnnl::memory::dims;
    const dnnl::memory::desc a({rows, n_in}, library_type(type), dims{n_in, 1});
    const dnnl::memory::desc b({n_in, cols}, library_type(type), dnnl::memory::format_tag::any);
    const dnnl::memory::desc c({rows, cols}, dnnl::memory::data_type::f32, dims{cols, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return {dnnl::matmul::desc(a, b, c), attributes, library_engine()};
}

/// The layout in which products want a panel of this size. It must not depend on how many rows a product will
/// have; one number decides for all.
inline dnnl::memory::desc packed_layout(std::int64_t n_in, std::int64_t cols, DType type) {
    constexpr std::int64_t kReferenceRows = 256;
    return describe_product(kReferenceRows, n_in, cols, type).weights_desc();
}

}  // namespace assay::backend::cpu
