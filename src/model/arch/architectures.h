// One function per family, each writing a program from metadata and checking every tensor's shape.
#pragma once

#include "model/blocks.h"

namespace assay::model {

using BuildFunction = void (*)(Builder& b);

void build_gemma(Builder& b);
void build_gemma2(Builder& b);
void build_gemma3(Builder& b);
void build_llama(Builder& b);
void build_mistral3(Builder& b);
void build_qwen2(Builder& b);
void build_qwen3(Builder& b);
void build_qwen3moe(Builder& b);

}  // namespace assay::model
