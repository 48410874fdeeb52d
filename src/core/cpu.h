// Which instruction sets kernels may use. Detected once; a lower one can be forced.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

namespace assay {

/// Each level includes those before it. Kernels exist as Scalar everywhere, and at some of the higher levels.
enum class Isa {
    Scalar,
    Avx2,        ///< AVX2, FMA, F16C, BMI2
    Avx512,      ///< AVX-512 F, BW, DQ, VL
    Avx512Bf16,  ///< and the bf16 dot product
    Amx,         ///< and AMX tiles with bf16, enabled for this process
};

/// The highest level that this processor and operating system support, and that oneDNN's own variable
/// (ONEDNN_MAX_CPU_ISA, or DNNL_MAX_CPU_ISA where that is unset) leaves: one cap for the library and for us.
Isa detect_isa() noexcept;

/// The highest level within a level of oneDNN, named as in that variable, in any case. A word that does not
/// cap
/// ("ALL", those of later versions, those that the library ignores) gives the highest level.
Isa isa_within(std::string_view library_level);

/// The highest level all of whose features `has` confirms, and those of the levels before it. Features are
/// named as the compiler's -m options that assay_isa() in cmake/assay_target.cmake gives the files of a
/// level.
Isa highest_isa(const std::function<bool(std::string_view feature)>& has);

std::string_view to_string(Isa isa) noexcept;
/// "scalar", "avx2", "avx512", "avx512bf16", "amx"; nothing for other words.
std::optional<Isa> parse_isa(std::string_view word) noexcept;

}  // namespace assay
