// One function per family, each writing a program from metadata and checking every tensor's shape.
#pragma once

#include "model/decoder.h"

namespace assay::model {

using BuildFunction = void (*)(Builder& b);

void build_cohere2(Builder& b);
void build_command_r(Builder& b);
void build_deepseek(Builder& b);
void build_deepseek2(Builder& b);
void build_dots1(Builder& b);
void build_falcon(Builder& b);
void build_falcon_h1(Builder& b);
void build_gemma(Builder& b);
void build_gemma2(Builder& b);
void build_gemma3(Builder& b);
void build_glm4moe(Builder& b);
void build_gpt_oss(Builder& b);
void build_gptneox(Builder& b);
void build_granitehybrid(Builder& b);
void build_lfm2(Builder& b);
void build_llama(Builder& b);
void build_mamba2(Builder& b);
void build_mistral3(Builder& b);
void build_mistral4(Builder& b);
void build_nemotron_h(Builder& b);
void build_phi2(Builder& b);
void build_plamo(Builder& b);
void build_qwen2(Builder& b);
void build_qwen2moe(Builder& b);
void build_qwen3(Builder& b);
void build_qwen35(Builder& b);
void build_qwen35moe(Builder& b);
void build_qwen3moe(Builder& b);
void build_qwen3next(Builder& b);
void build_stablelm(Builder& b);

}  // namespace assay::model
