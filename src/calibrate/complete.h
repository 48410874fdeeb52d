// What quantisers ask for and llama-imatrix does not collect, or not in the length that they look for:
//   - products behind the layers, such as output_hc_fn, which types that demand data demand it for;
//   - attn_kv_b, which a file with attn_k_b and attn_v_b holds in another form: its input is the normalised
//     latent. (The reverse would take an attention over latents that the form with attn_kv_b does not do: the
//     input of attn_v_b is each head's mean of latents.)
//   - tables of biases of two dimensions (inventory.h: add_equal_weights);
//   - matrices by heads that a file stacks in two dimensions (attn_output_a; ik_llama.cpp's attn_k_b and
//     attn_v_b): quantisers take the tensor for one matrix, whose columns are those of all heads together.
#pragma once

#include <map>
#include <string>

#include "gguf/file.h"
#include "imatrix/matrix.h"
#include "model/program.h"

namespace assay::calibrate {

/// PassOptions::observed_norms for the program's latent attention.
std::map<std::string, std::string> latent_entries(const gguf::File& file, const model::Program& program);

/// Weights by heads whose tensors have two dimensions, with their heads.
using Stacks = std::map<std::string, std::int64_t>;
Stacks stacked_weights(const gguf::File& file, const model::Program& program);

}  // namespace assay::calibrate
