// Small models of random weights, one per architecture, with the results that another program had on them.
// tests/golden/archs holds each model's header (`NAME.head.gguf`), the reference matrix (`NAME.imatrix.gguf`)
// and `manifest.json`; the weights follow from a rule, so that megabytes need not be stored.
//
// The rule: with h = FNV-1a 64 of the tensor's name XOR seed,
//   z_i = splitmix64(h + i * 0x9E3779B97F4A7C15)      i runs over the tensor in the file's order
//   u_i = (z_i >> 40) / 2^23 - 1                      in [-1, 1)
//   w_i = center + amplitude * u_i                    in f32, then rounded to f16 where the tensor is f16
// and center and amplitude from the first row that fits (n_in is the tensor's first dimension in the file):
//   name ends in "ssm_a"                          -1    0.5
//   name has "norm" and ends in ".weight"          1    0.25
//   "token_embd.weight"                            0    0.12
//   name ends in "ffn_gate_inp.weight"             0    4 / sqrt(n_in)
//   "output.weight"                                0    0.7 * sqrt(3 / n_in)
//   name has "rope_f"                              1.5  0.5
//   one dimension and name has "scale"             1    0.25
//   two or more dimensions                         0    1.4 * sqrt(3 / n_in)
//   otherwise                                      0    0.1
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/compare.h"
#include "support/temp_dir.h"

namespace assay::test {

/// How the references were made, the same for all: this text, cut into chunks of n_ctx tokens.
struct FixtureRun {
    std::filesystem::path text;
    int n_ctx = 0;
    int n_chunks = 0;
};

/// Whether the reference of this name was made with the blocks that predict ahead.
bool collects_nextn(const std::string& name);

/// The names in the manifest, sorted, without those of restless_fixture_names().
std::vector<std::string> fixture_names();

/// Those whose results rounding moves further than a mistake should: tests/oracle/restless_test.cpp says why.
std::vector<std::string> restless_fixture_names();

/// One name for each family of mixers and feed-forwards, where not every form is worth its time.
std::vector<std::string> family_fixture_names();

/// For a test's name: letters, digits and underscores.
std::string test_name(std::string text);

/// One filled model in a folder of its own. Constructing it costs up to 60 MB of disk and as many hashes.
class Fixture {
  public:
    /// Throws Error when the name is not in the manifest, a file is damaged, or the filled file has not the
    /// fingerprint that the manifest states.
    explicit Fixture(const std::string& name);

    const std::filesystem::path& model() const noexcept { return model_; }
    /// The folder that holds the model, for what a test writes; removed with the Fixture.
    const TempDir& folder() const noexcept { return folder_; }
    const FixtureRun& run() const noexcept { return run_; }
    /// Whether the matrix is that of the blocks that predict ahead too: those named *-nextn-*. The
    /// perplexities are the trunk's.
    bool nextn() const noexcept { return nextn_; }
    /// After chunk 1, 2, ...; four decimals.
    const std::vector<double>& running_perplexity() const noexcept { return running_perplexity_; }
    /// Every observed product's sums, with the output projection where the model has its own matrix for it.
    const Matrix& matrix() const noexcept { return matrix_; }

  private:
    TempDir folder_;
    std::filesystem::path model_;
    FixtureRun run_;
    bool nextn_ = false;
    std::vector<double> running_perplexity_;
    Matrix matrix_;
};

/// Writes the header's model with weights of 0 (no disk is used for them) and rotary factors of 1: enough to
/// read what it is.
void write_hollow_model(const std::filesystem::path& head, const std::filesystem::path& to);

/// The bytes of a header followed by the weights of the rule, `file_bytes` in all. Throws Error{BadFile} when
/// the header's tensors do not fit, Error{Unsupported} for a tensor that is neither f32 nor f16.
std::vector<std::byte> fill_model(const std::filesystem::path& head, std::size_t file_bytes,
                                  std::uint64_t seed);

}  // namespace assay::test
