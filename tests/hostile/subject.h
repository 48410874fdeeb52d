// Good files, and what becomes of each of their mutations.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fuzz/support.h"
#include "hostile/mutator.h"

namespace assay::test {

/// A file to be mutated, kept in memory.
class Subject {
  public:
    static constexpr std::uint64_t kMostExtraBytes = std::uint64_t{64} << 20;

    /// NAME.head.gguf of `folder`, filled with weights; of a matrix the whole file.
    static Subject model(const std::filesystem::path& head);
    static Subject matrix(const std::filesystem::path& file);

    const std::string& name() const noexcept { return name_; }
    /// No piece of memory may be larger: twice the file and 64 MiB.
    std::size_t most_bytes() const noexcept { return 2 * bytes_.size() + kMostExtraBytes; }

    Mutation mutation(std::uint64_t number) const { return mutator_.mutation(number); }
    /// Reads the mutated file as the program would. With `run`, a chunk goes through a model that is taken.
    /// Ends the process where a promise is broken; throws std::bad_alloc for too large a piece of memory.
    fuzz::Verdict examine(const Mutation& mutation, bool run);
    /// The whole file.
    std::vector<std::byte> bytes(const Mutation& mutation) const;

  private:
    Subject(std::string name, bool is_model, std::vector<std::byte> bytes, std::size_t head_bytes);

    std::string name_;
    bool is_model_;
    std::vector<std::byte> bytes_;
    std::unique_ptr<fuzz::MemoryFile> file_;  ///< the whole model, between mutations as it was
    Mutator mutator_;
};

/// A model of each kind that differs in how it is read, and matrices of both formats. With ASSAY_HEADS, every
/// NAME.head.gguf of that folder.
std::vector<Subject> subjects();

}  // namespace assay::test
