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
    {"deepseek", build_deepseek},
    {"deepseek2", build_deepseek2},
    {"dots1", build_dots1},
    {"falcon", build_falcon},
    {"falcon-h1", build_falcon_h1},
    {"gemma", build_gemma},
    {"gemma2", build_gemma2},
    {"gemma3", build_gemma3},
    {"glm4moe", build_glm4moe},
    {"gpt-oss", build_gpt_oss},
    {"gptneox", build_gptneox},
    {"granitehybrid", build_granitehybrid},
    {"lfm2", build_lfm2},
    {"lfm2moe", build_lfm2},
    {"llama", build_llama},
    {"mamba2", build_mamba2},
    {"mistral3", build_mistral3},
    {"mistral4", build_mistral4},
    {"nemotron_h", build_nemotron_h},
    {"nemotron_h_moe", build_nemotron_h},
    {"phi2", build_phi2},
    {"plamo", build_plamo},
    {"qwen2", build_qwen2},
    {"qwen2moe", build_qwen2moe},
    {"qwen3", build_qwen3},
    {"qwen35", build_qwen35},
    {"qwen35moe", build_qwen35moe},
    {"qwen3moe", build_qwen3moe},
    {"qwen3next", build_qwen3next},
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
