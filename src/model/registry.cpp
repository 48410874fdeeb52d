#include "model/registry.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr auto kArchitectures = std::to_array<std::pair<std::string_view, BuildFunction>>({
    {"cohere2", build_cohere2},
    {"command-r", build_command_r},
    {"falcon", build_falcon},
    {"gemma", build_gemma},
    {"gemma2", build_gemma2},
    {"gemma3", build_gemma3},
    {"gptneox", build_gptneox},
    {"llama", build_llama},
    {"mistral3", build_mistral3},
    {"phi2", build_phi2},
    {"plamo", build_plamo},
    {"qwen2", build_qwen2},
    {"qwen3", build_qwen3},
    {"qwen3moe", build_qwen3moe},
    {"stablelm", build_stablelm},
});

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
