// The file of the model that a run goes through, with the blocks of a draft file behind its layers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "gguf/file.h"
#include "model/program.h"

namespace assay::calibrate {

/// The model. With a draft (not empty) also the tensors of its blocks that predict ahead, and what its
/// metadata say of them: together the file that a converter would have written whole. A draft's own copies of
/// what the model has (embedding, output) are not read. Throws Error{Usage} for a model that is a draft
/// itself, or that has such blocks already, Error{BadFile} for a draft that is none or that another model
/// has.
gguf::File open_model(const std::filesystem::path& path, const gguf::Overrides& overrides,
                      const std::filesystem::path& draft);

/// Why a program that was asked for blocks that predict ahead has none; nothing where it has.
std::optional<std::string> why_no_nextn(const gguf::File& model, const model::Program& program);

}  // namespace assay::calibrate
