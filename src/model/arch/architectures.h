// One function per family, each filling a description from metadata and checking every tensor's shape.
#pragma once

#include "model/blocks.h"
#include "model/registry.h"
#include "model/spec.h"

namespace assay::model {

using BuildFunction = ModelSpec (*)(const Hyperparameters& hp, const Tensors& tensors,
                                    const BuildOptions& options);

ModelSpec build_llama(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_mistral3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_qwen2(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_qwen3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_qwen3moe(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_gemma(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_gemma2(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);
ModelSpec build_gemma3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options);

}  // namespace assay::model
