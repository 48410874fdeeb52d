// The importance matrix: for every observed weight, sums over the tokens that it saw. Nothing here is a mean:
// sums and counts merge exactly, in any order, whatever the chunk length. Files are the matter of file.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/metadata.h"

namespace assay::imatrix {

/// Sentences for the user about what was assumed, skipped or incomplete. Nothing here is an error.
using Notes = std::vector<std::string>;

/// Sums for one weight. Matrix m (an expert, or a head) owns the columns [m * width, (m + 1) * width).
///
/// A dense weight has one matrix and one count, an expert weight one of each per expert. A weight stored per
/// head (`attn_k_b`, `attn_v_b`) has a matrix per head but one count, because every head sees every token.
/// Files do not tell heads from columns: such an entry comes back with width = heads * n_in.
///
/// Sums are exact (core/exact_sum.h): what f64 cannot hold of them stands in the low parts.
struct Entry {
    std::uint64_t width = 0;     ///< n_in, the columns of one matrix
    std::vector<double> sum_sq;  ///< [n_matrices * width] sum of x^2
    std::vector<double> sum;     ///< same shape: sum of x; empty when unknown
    /// Rows summed, [1] or [n_matrices]; a row may count more or less than 1, and x as often.
    std::vector<double> counts;
    std::vector<float> sum_sq_low = {};  ///< in the shape of sum_sq; empty: nothing is missing there
    std::vector<float> sum_low = {};     ///< likewise of sum

    bool operator==(const Entry&) const = default;
    std::uint64_t n_matrices() const noexcept { return width == 0 ? 0 : sum_sq.size() / width; }
    /// The columns that share one count: sum_sq.size() / counts.size().
    std::uint64_t columns_per_count() const noexcept {
        return counts.empty() ? 0 : sum_sq.size() / counts.size();
    }
    double max_count() const noexcept;
    /// Counts that are zero: experts that no token was routed to.
    std::uint64_t n_missing() const noexcept;
    /// "entry 'NAME' has partial data (P%)", P the share of counts above zero, the name padded to 40; empty
    /// when nothing is missing.
    std::string partial_note(std::string_view name) const;
    /// Gives low parts to all sums.
    void widen();
};

struct Matrix {
    std::map<std::string, Entry, std::less<>> entries;  ///< by weight name, bytewise
    std::vector<std::string> datasets;                  ///< calibration texts, in the order they were used
    std::uint32_t chunk_size = 0;                       ///< tokens per chunk; 0 when nothing is known yet
    bool chunk_size_stored = false;  ///< a GGUF file says so; otherwise the user does, or it is assumed
    std::uint32_t chunk_count = 0;
    std::uint32_t n_layer_nextn = 0;  ///< the last blocks, which predict ahead; 0: not collected
    /// Of what is read; models have one to three.
    static constexpr std::uint32_t kMostNextN = 4096;
    /// Keys beginning with `assay.`: whatever other rooms want to keep beside the sums. Not interpreted here.
    gguf::Metadata extra;

    std::optional<std::uint32_t> stored_chunk_size() const {
        return chunk_size_stored ? std::optional(chunk_size) : std::nullopt;
    }
    /// The largest count in chunks of `size` tokens, rounded: half a chunk counts as one. Products of blocks
    /// that predict ahead (NAME.nextn.*) do not count: one may see several rows for a token.
    std::uint32_t n_chunks(std::uint64_t size) const noexcept;
    /// chunk_count by the matrix's own chunk size, the rule of other tools for loaded and merged files.
    void recount_chunks() noexcept { chunk_count = n_chunks(chunk_size); }
};

/// Gives a single count to each of `n` matrices. Throws Error{Shape} when the entry has several counts or its
/// columns do not divide by `n`; `name` names it.
void expand_counts(Entry& entry, std::uint64_t n, std::string_view name);

/// Makes one count of several equal ones, the form of per-head weights. False, and nothing changed, when they
/// differ.
bool collapse_counts(Entry& entry) noexcept;

/// The columns of n_heads heads added up, a row for each head of each token: what a matrix by heads has for
/// who takes its tensor for one of width / n_heads columns.
Entry fold_heads(const Entry& entry, std::uint64_t n_heads);

/// Throws Error{Shape} "inconsistent size for NAME (a vs b)" or "inconsistent expert count for NAME (a vs b)"
/// where the two cannot be added.
void check_mergeable(const std::string& name, const Entry& into, const Entry& from);

/// Adds these sums and counts to those of the same name, if any. Throws as check_mergeable().
void add_entry(Matrix& into, const std::string& name, const Entry& entry);

/// Adds the sums and counts of `from`. A single count that meets several is expanded first. An entry that
/// only one side has is kept as it is; the sum of x survives where both sides know it; of the extra keys
/// (all of `from` when `into` is empty) those survive that both sides have with the same value, in groups:
/// what stands before the last dot names one, and what one key of a group tells means nothing without the
/// others. The chunk size is that of the first side that has it from a GGUF file, else of the first; a note
/// tells when two files differ: the sums are weighted by tokens, so they need no correction. The number of
/// blocks that predict ahead is that of the first side that has any, likewise. A note also tells of matrices
/// without any entry in common. Throws as check_mergeable(); `into` is unchanged then.
void merge(Matrix& into, const Matrix& from, Notes& notes);

}  // namespace assay::imatrix
