// One function per family, each writing a program from metadata and checking every tensor's shape.
#pragma once

#include "model/decoder.h"

namespace assay::model {

using BuildFunction = void (*)(Builder& b);

void build_cohere2(Builder& b);
void build_command_r(Builder& b);
void build_falcon(Builder& b);
void build_gptneox(Builder& b);
void build_phi2(Builder& b);
void build_plamo(Builder& b);
void build_stablelm(Builder& b);
void build_gemma(Builder& b);
void build_gemma2(Builder& b);
void build_gemma3(Builder& b);
void build_llama(Builder& b);
void build_mistral3(Builder& b);
void build_qwen2(Builder& b);
void build_qwen3(Builder& b);
void build_qwen3moe(Builder& b);

}  // namespace assay::model
