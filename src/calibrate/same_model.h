// Whether two files hold the same model, with weights stored in other types.
#pragma once

#include "gguf/file.h"
#include "model/program.h"

namespace assay::calibrate {

/// Throws Error{Usage}, with what differs, where `other` is another model than `base`: another architecture,
/// hyper-parameter or vocabulary, or tensors of another name or shape among those that the program reads. A
/// key that only one of the files has counts where the programs differ.
void check_same_model(const gguf::File& base, const model::Program& base_program, const gguf::File& other,
                      const model::Program& other_program);

}  // namespace assay::calibrate
