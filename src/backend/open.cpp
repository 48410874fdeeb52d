#include "backend/open.h"

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "core/error.h"

namespace assay::backend {

namespace {

std::unique_ptr<Backend> open_cpu(const OpenOptions& options, ThreadPool& pool) {
    const Isa found = detect_isa();
    const Isa isa = options.isa.value_or(found);
    if (isa > found)
        throw_error(ErrorKind::Unsupported, "--isa", "{} was asked for, this processor has {}",
                    to_string(isa), to_string(found));
    const bool has_bf16 = isa >= Isa::Avx512Bf16;
    if (options.precision == Precision::Bf16 && !has_bf16)
        throw_error(ErrorKind::Unsupported, "--precision",
                    "bf16 needs AVX-512 BF16 or AMX, this processor runs {}", to_string(isa));
    const bool bf16 = has_bf16 && options.precision != Precision::F32;
    return std::make_unique<cpu::CpuBackend>(isa, bf16 ? DType::Bf16 : DType::F32, options.chunk_tokens,
                                             pool);
}

}  // namespace

std::unique_ptr<Backend> open(const OpenOptions& options, ThreadPool& pool) {
    if (options.device == "auto" || options.device == "cpu") return open_cpu(options, pool);
    throw_error(ErrorKind::Usage, "--device", "{} is not known here, expected auto or cpu", options.device);
}

}  // namespace assay::backend
