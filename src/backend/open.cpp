#include "backend/open.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <iterator>

#include "backend/cpu/cpu_backend.h"
#include "backend/cuda_backend.h"
#include "core/error.h"

namespace assay::backend {

namespace {

std::unique_ptr<Backend> open_cpu(const OpenOptions& options, ThreadPool& pool) {
    const Isa found = detect_isa();
    const Isa isa = options.isa.value_or(found);
    if (isa > found)
        throw_error(ErrorKind::Unsupported, "--isa",
                    "{} was asked for, this processor has {} (within ONEDNN_MAX_CPU_ISA, where that is set)",
                    to_string(isa), to_string(found));
    if (options.isa) cpu::limit_library(isa);
    const bool bf16 = options.precision == Precision::Bf16 ||
                      (options.precision == Precision::Auto && cpu::has_bf16_products(isa));
    return std::make_unique<cpu::CpuBackend>(isa, bf16 ? DType::Bf16 : DType::F32, options.chunk_tokens,
                                             pool);
}

constexpr std::string_view kCuda = "cuda";

/// N of "cuda:N"; nothing for other words.
std::optional<int> cuda_index(std::string_view device) {
    if (!device.starts_with(kCuda)) return std::nullopt;
    device.remove_prefix(kCuda.size());
    if (device.size() < 2 || device.front() != ':') return std::nullopt;
    int index = 0;
    const char* last = device.data() + device.size();
    const auto [end, error] = std::from_chars(device.data() + 1, last, index);
    if (error != std::errc() || end != last || index < 0) return std::nullopt;
    return index;
}

std::string cuda_name(int index) { return fmt::format("{}:{}", kCuda, index); }

/// The devices of one word of a list.
std::vector<std::string> devices_of(std::string_view word) {
    std::vector<std::string> names;
    if (word == "cpu" || cuda_index(word)) return {std::string(word)};
    if (word != "auto" && word != kCuda)
        throw_error(ErrorKind::Usage, "--device", "{} is not known here, expected auto, cpu, cuda or cuda:N",
                    word);
    for (const DeviceInfo& device : cuda_devices()) names.push_back(cuda_name(device.index));
    // Opening the first GPU says why there is none.
    if (names.empty()) names.push_back(word == "auto" ? "cpu" : cuda_name(0));
    return names;
}

}  // namespace

std::vector<std::string> list_devices(std::string_view list, std::optional<std::int64_t> only) {
    std::vector<std::string> names;
    bool processors = false;
    while (true) {
        const std::size_t comma = std::min(list.find(','), list.size());
        for (std::string& name : devices_of(list.substr(0, comma))) {
            const bool processor = name == "cpu";
            if (!names.empty() && processor != processors)
                throw_error(ErrorKind::Usage, "--device",
                            "cpu and cuda cannot share a run: their results differ in the last bits");
            processors = processor;
            if (processor || std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
        }
        if (comma == list.size()) break;
        list.remove_prefix(comma + 1);
    }
    if (!only) return names;
    if (*only < 0 || *only >= std::ssize(names))
        throw_error(ErrorKind::Usage, "--main-gpu", "{} was asked for, the devices are 0 to {}", *only,
                    names.size() - 1);
    return {names[static_cast<std::size_t>(*only)]};
}

std::unique_ptr<Backend> open(const OpenOptions& options, ThreadPool& pool) {
    const std::string name = list_devices(options.device).front();
    if (const auto index = cuda_index(name))
        return open_cuda(*index, options.precision, options.device_memory_bytes);
    return open_cpu(options, pool);
}

}  // namespace assay::backend
