// What the quantisers of llama.cpp and ik_llama.cpp do with a tensor and a type, as far as a recipe must know
// it: which tensors they touch, which type stands in when a row does not fit, which types they refuse without
// data. Facts as of llama.cpp 2026-08.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "quant/type_table.h"

namespace assay::recipe {

/// True when the quantisers give the tensor a new type: two dimensions or more, a name ending in "weight",
/// and none of the small or delicate kinds (norms, routers, convolutions, position tables). The others stay
/// as they are stored.
bool is_quantised(const gguf::Tensor& tensor);
/// Why the quantisers give it none; empty where they do.
std::string_view why_left_alone(const gguf::Tensor& tensor);

/// The type that the quantisers really write when asked for `type` on rows of `n_in` weights: itself when
/// the row is a multiple of its block, else the type of blocks of 32 that stands in, else F16. Nothing when
/// they know no stand-in and stop.
std::optional<quant::TypeId> written_type(quant::TypeId type, std::uint64_t n_in);

/// True for the types of so few bits that the quantisers refuse (or should: Q2_K) tensors without data.
bool needs_data(quant::TypeId type) noexcept;
/// Their names, with commas.
std::string types_needing_data();

/// Both embeddings of a model may lack data in every file: they are looked up, or the run did not ask for
/// the output.
bool is_token_embedding(std::string_view name) noexcept;
bool is_output(std::string_view name) noexcept;

/// Names of the tensors that a complete matrix has data for: those that get a new type, save embeddings and
/// output.
std::vector<std::string> weights_wanting_data(const gguf::File& model);

/// By the quantisers' spelling, any case: "q4_K", "Q4_k". Nothing for other words.
std::optional<quant::TypeId> parse_type(std::string_view word);

/// What a recipe chooses from unless told otherwise: every type with an encoder, save F32 and BF16.
std::span<const quant::TypeId> default_types() noexcept;

/// The file type to name on the quantiser's command line when most bytes have `type`. With a rule for every
/// tensor it decides nothing but the label in the metadata.
std::string_view base_type(quant::TypeId type) noexcept;

}  // namespace assay::recipe
