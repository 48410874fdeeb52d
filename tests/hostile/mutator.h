// Files that lie: a good one with a few of its fields or bytes changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "hostile/header_fields.h"

namespace assay::test {

/// Of the whole file when `size` is less than it was.
struct Mutation {
    std::vector<std::byte> head;  ///< in place of the file's first bytes
    std::size_t size = 0;         ///< of the file
    std::string what;             ///< in words
};

class Mutator {
  public:
    /// `head`: what of the file is changed, at least its header where it is GGUF. `architecture` of a model;
    /// else empty.
    Mutator(std::vector<std::byte> head, std::size_t file_bytes, std::string architecture);

    /// Follows from the number alone.
    Mutation mutation(std::uint64_t number) const;

  private:
    using Random = std::mt19937_64;
    void change_field(Mutation& mutation, Random& random) const;
    void change_bytes(Mutation& mutation, Random& random) const;
    void change_architecture(Mutation& mutation, Random& random) const;

    std::vector<std::byte> head_;
    std::size_t file_bytes_;
    std::string architecture_;
    std::vector<Field> all_fields_;                       ///< empty where the file is no GGUF
    std::array<std::vector<Field>, kFieldKinds> fields_;  ///< by kind
};

}  // namespace assay::test
