#include "model/registry.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr std::array<std::pair<std::string_view, BuildFunction>, 8> kArchitectures{{
    {"gemma", build_gemma},
    {"gemma2", build_gemma2},
    {"gemma3", build_gemma3},
    {"llama", build_llama},
    {"mistral3", build_mistral3},
    {"qwen2", build_qwen2},
    {"qwen3", build_qwen3},
    {"qwen3moe", build_qwen3moe},
}};

}  // namespace

std::vector<std::string_view> known_architectures() {
    std::vector<std::string_view> names;
    for (const auto& [name, build_function] : kArchitectures) names.push_back(name);
    return names;
}

Program build(const gguf::File& file, const BuildOptions& options) {
    const std::string architecture(file.metadata().get_string("general.architecture"));
    for (const auto& [name, write] : kArchitectures)
        if (name == architecture) {
            Builder builder(file, architecture, options);
            write(builder);
            return builder.take();
        }
    throw_error(ErrorKind::Unsupported, file.where(), "architecture {} is not known; known are {}",
                architecture, fmt::join(known_architectures(), ", "));
}

}  // namespace assay::model
