// How far files of one model with other weights predict otherwise than a base file, over the same positions.
// The figures are those of llama.cpp's perplexity tool with --kl-divergence, with the same errors; positions
// count as independent, and differences are paired: a ratio of perplexities has the error of the mean of the
// differences of losses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "perplexity/sensitivity.h"

namespace assay::perplexity {

/// What the base and a file make of one position. Losses and divergence in nats.
struct ScoredPosition {
    double base_loss = 0;
    double loss = 0;
    double divergence = 0;  ///< KL(base || file)
    bool same_top = false;  ///< both find the same token the likeliest
};

/// Of values over positions. Between two values that are next to a rank, in proportion.
struct Quantiles {
    double median = 0;
    double at_90 = 0;  ///< per cent of the positions lie below
    double at_95 = 0;
    double at_99 = 0;
    double at_99_9 = 0;
    double largest = 0;
};
/// At least one value.
Quantiles quantiles_of(std::vector<float> values);

/// A file against the base.
struct ComparedFile {
    std::string name;
    double bits_per_weight = 0;
    Measured perplexity;
    Measured log_ratio;  ///< ln(perplexity / base perplexity)
    Measured divergence;
    Quantiles divergences;
    Measured probability_change;      ///< of the text's token, file less base
    Measured probability_change_rms;  ///< root of the mean square of these
    Measured same_top;                ///< share of positions
};

/// Two of the files against each other, paired: the second less the first.
struct ComparedPair {
    std::size_t first = 0;  ///< index of Comparison::files
    std::size_t second = 0;
    Measured log_ratio;
    Measured divergence;
};

struct Comparison {
    std::string base;  ///< its file
    std::string architecture;
    double bits_per_weight = 0;  ///< of the base
    std::int64_t n_ctx = 0;
    std::int64_t n_chunks = 0;
    std::uint64_t positions = 0;
    Measured perplexity;  ///< of the base
    std::vector<ComparedFile> files;
    std::vector<ComparedPair> pairs;  ///< each two once
};

/// One file's positions, chunk by chunk: sums, and what quantiles and pairs need of each (8 bytes).
class FilePositions {
  public:
    /// Chunks come in order.
    void add_chunk(const std::vector<ScoredPosition>& chunk);
    /// Only the first n_chunks count from here on.
    void keep_chunks(std::int64_t n_chunks);

    std::uint64_t count() const noexcept { return divergences_.size(); }
    Measured base_perplexity() const;
    /// Without name and bits. At least one position.
    ComparedFile compare() const;
    /// Of files over the same positions.
    static ComparedPair compare(const FilePositions& first, const FilePositions& second);

  private:
    struct ChunkSums {
        PairedSums paired;
        std::uint64_t same_top = 0;
        double change = 0;  ///< of the probability of the text's token
        double change_squared = 0;
        double change_fourth = 0;
    };
    ChunkSums total() const;

    std::vector<ChunkSums> chunks_;
    std::vector<float> divergences_;
    std::vector<float> loss_changes_;
};

}  // namespace assay::perplexity
