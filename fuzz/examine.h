// What any bytes may do to a reader: be refused with an Error, or be taken, and then everything holds that
// the reader promises. A broken promise ends the process with a sentence. The fuzz targets, the test over
// their corpora and the mutations share these functions.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace assay::fuzz {

using Bytes = std::span<const std::byte>;

/// How a model was met.
enum class Verdict {
    Refused,  ///< with an Error
    Taken,    ///< built and planned
    Ran,      ///< a chunk went through it, or ended in an Error
};

/// A model: opened, its program built, its pass planned. With `run`, a chunk of 16 tokens goes through the
/// layers too.
Verdict examine_model_file(const std::filesystem::path& path, bool run);

/// The header of a model; behind it lie 16 MiB of zeros for the tensors.
void examine_model(Bytes bytes);
/// An importance matrix of either format: what is taken can be described, merged, written in every format,
/// and comes back whole from the exact one.
Verdict examine_matrix(Bytes bytes);
/// A GGUF file whose metadata describe a tokenizer: where they are taken, it splits a text with all kinds of
/// characters, and these bytes themselves, into ids that exist.
void examine_vocabulary(Bytes bytes);
/// Rows of a storage type, which the first byte names: every decoder gives the same bits and stays inside.
void examine_blocks(Bytes bytes);
/// The result of a sensitivity run as a recipe reads it.
void examine_sensitivity(Bytes bytes);
/// A text that holds documents, behind one byte that chooses their form and the context: where it is taken,
/// every chunk fits and no token is lost. Conversations are read but not rendered, which takes a process.
void examine_documents(Bytes bytes);
/// A text, behind two bytes that choose a tokenizer and how it encodes: never refused, and all ids exist.
void examine_text(Bytes bytes);
/// The state of a run or the record of one, as if its checksum were right: refused, or a run goes on from it.
void examine_checkpoint(Bytes bytes);
/// A command line, words separated by line feeds, behind one byte that chooses the command.
void examine_command_line(Bytes bytes);

}  // namespace assay::fuzz
