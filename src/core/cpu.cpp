#include "core/cpu.h"

#include <array>
#include <utility>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace assay {

namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 5> kNames{{{Isa::Scalar, "scalar"},
                                                                  {Isa::Avx2, "avx2"},
                                                                  {Isa::Avx512, "avx512"},
                                                                  {Isa::Avx512Bf16, "avx512bf16"},
                                                                  {Isa::Amx, "amx"}}};

#if defined(__x86_64__) && defined(__linux__)
bool has_avx512_bf16() noexcept {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 5 & 1u) != 0;
}

bool has_amx_bf16() noexcept {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    const bool bf16 = (d >> 22 & 1u) != 0;
    const bool tile = (d >> 24 & 1u) != 0;
    // Linux grants the 8 KiB tile state only on request: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
    constexpr long kRequestPermission = 0x1023;
    constexpr long kTileData = 18;
    return bf16 && tile && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Isa detect() noexcept {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::Scalar;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
        return Isa::Avx2;
    if (!has_avx512_bf16()) return Isa::Avx512;
    return has_amx_bf16() ? Isa::Amx : Isa::Avx512Bf16;
}
#else
Isa detect() noexcept { return Isa::Scalar; }
#endif

}  // namespace

Isa detect_isa() noexcept {
    static const Isa found = detect();
    return found;
}

std::string_view to_string(Isa isa) noexcept {
    for (const auto& [value, name] : kNames)
        if (value == isa) return name;
    return "unknown";
}

std::optional<Isa> parse_isa(std::string_view word) noexcept {
    for (const auto& [value, name] : kNames)
        if (name == word) return value;
    return std::nullopt;
}

}  // namespace assay
