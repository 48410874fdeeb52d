#include "core/cpu.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string>
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

/// oneDNN's levels that lie below our highest, and what we have within them.
constexpr std::array<std::pair<std::string_view, Isa>, 9> kLibraryLevels{
    {{"SSE41", Isa::Scalar},
     {"AVX", Isa::Scalar},
     {"AVX2", Isa::Avx2},
     {"AVX2_VNNI", Isa::Avx2},
     {"AVX512_MIC", Isa::Avx2},
     {"AVX512_MIC_4OPS", Isa::Avx2},
     {"AVX512_CORE", Isa::Avx512},
     {"AVX512_CORE_VNNI", Isa::Avx512},
     {"AVX512_CORE_BF16", Isa::Avx512Bf16}}};

/// The level that the environment leaves.
Isa allowed_isa() {
    for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"})
        if (const char* word = std::getenv(name)) return isa_within(word);
    return Isa::Amx;
}

enum Register { kEax, kEbx, kEcx, kEdx };

/// Where CPUID tells of a feature (Intel SDM, volume 2A, CPUID).
struct Feature {
    Isa isa;  ///< the first level whose files use it
    std::string_view name;
    unsigned leaf;
    unsigned subleaf;
    Register where;
    unsigned bit;
};

constexpr std::array kFeatures = std::to_array<Feature>({
    {Isa::Avx2, "avx2", 7, 0, kEbx, 5},
    {Isa::Avx2, "fma", 1, 0, kEcx, 12},
    {Isa::Avx2, "f16c", 1, 0, kEcx, 29},
    {Isa::Avx2, "bmi2", 7, 0, kEbx, 8},
    {Isa::Avx512, "avx512f", 7, 0, kEbx, 16},
    {Isa::Avx512, "avx512bw", 7, 0, kEbx, 30},
    {Isa::Avx512, "avx512dq", 7, 0, kEbx, 17},
    {Isa::Avx512, "avx512vl", 7, 0, kEbx, 31},
    {Isa::Avx512Bf16, "avx512bf16", 7, 1, kEax, 5},
    {Isa::Amx, "amx-tile", 7, 0, kEdx, 24},
    {Isa::Amx, "amx-bf16", 7, 0, kEdx, 22},
});

#if defined(__x86_64__) && defined(__linux__)
/// Whether the system keeps the registers of a level; for AMX Linux does so on request only.
bool system_allows(Isa isa) noexcept {
    constexpr long kRequestPermission = 0x1023;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    constexpr long kTileData = 18;
    switch (isa) {
        case Isa::Scalar: return true;
        case Isa::Avx2: return __builtin_cpu_supports("avx2") != 0;
        case Isa::Avx512:
        case Isa::Avx512Bf16: return __builtin_cpu_supports("avx512f") != 0;
        case Isa::Amx: return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
    }
    return false;
}

bool processor_has(const Feature& feature) noexcept {
    std::array<unsigned, 4> registers{};
    auto& [a, b, c, d] = registers;
    return __get_cpuid_count(feature.leaf, feature.subleaf, &a, &b, &c, &d) != 0 &&
           (registers[feature.where] >> feature.bit & 1u) != 0;
}

Isa detect() {
    return highest_isa([](std::string_view name) {
        const auto feature = std::ranges::find(kFeatures, name, &Feature::name);
        return processor_has(*feature) && system_allows(feature->isa);
    });
}
#else
Isa detect() { return Isa::Scalar; }
#endif

}  // namespace

Isa highest_isa(const std::function<bool(std::string_view)>& has) {
    Isa highest = Isa::Scalar;
    for (const auto& [isa, name] : kNames) {
        const bool complete = std::ranges::all_of(kFeatures, [&, level = isa](const Feature& feature) {
            return feature.isa != level || has(feature.name);
        });
        if (!complete) break;
        highest = isa;
    }
    return highest;
}

Isa isa_within(std::string_view library_level) {
    std::string word(library_level);
    for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto* level = std::ranges::find(kLibraryLevels, word, [](const auto& row) { return row.first; });
    return level == kLibraryLevels.end() ? Isa::Amx : level->second;
}

Isa detect_isa() noexcept {
    static const Isa found = std::min(detect(), allowed_isa());
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
