#include "backend/open.h"

#include <algorithm>
#include <charconv>

#include "backend/cpu/cpu_backend.h"
#include "backend/cuda_backend.h"
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
    if (options.isa) cpu::limit_library(isa);
    const bool bf16 = has_bf16 && options.precision != Precision::F32;
    return std::make_unique<cpu::CpuBackend>(isa, bf16 ? DType::Bf16 : DType::F32, options.chunk_tokens,
                                             pool);
}

/// "cuda" or "cuda:N"; nothing for other words.
std::optional<int> cuda_index(std::string_view device) {
    constexpr std::string_view kWord = "cuda";
    if (!device.starts_with(kWord)) return std::nullopt;
    device.remove_prefix(kWord.size());
    if (device.empty()) return 0;
    int index = 0;
    const char* last = device.data() + device.size();
    if (device.front() != ':' || device.size() < 2) return std::nullopt;
    const auto [end, error] = std::from_chars(device.data() + 1, last, index);
    if (error != std::errc() || end != last || index < 0) return std::nullopt;
    return index;
}

}  // namespace

std::unique_ptr<Backend> open(const OpenOptions& options, ThreadPool& pool) {
    if (options.device == "auto") {
        const std::vector<DeviceInfo> devices = cuda_devices();
        return devices.empty() ? open_cpu(options, pool)
                               : open_cuda(devices.front().index, options.precision);
    }
    if (options.device == "cpu") return open_cpu(options, pool);
    if (const auto index = cuda_index(options.device)) return open_cuda(*index, options.precision);
    throw_error(ErrorKind::Usage, "--device", "{} is not known here, expected auto, cpu, cuda or cuda:N",
                options.device);
}

}  // namespace assay::backend
