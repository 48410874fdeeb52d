// Entries that are named after views: other collectors observe the tensor that enters a product, which may be
// a reshaped one, "blk.0.attn_k_b.weight (reshaped)", or a copy on a device, "CUDA0#blk.0.attn_q.weight#0".
// Quantisers look for the weight's own name. Private to the room.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "imatrix/matrix.h"

namespace assay::imatrix {

/// The weight's name within: what stands between the first two `#`, without the words in brackets behind it.
std::string_view weight_of_view(std::string_view name);

/// Gives a matrix the entries of one file under their weights' names; those of one weight are added up.
class EntryNames {
  public:
    /// Throws Error{BadFile} for a name that occurred before, Error{Shape} for views of one weight that do
    /// not fit together.
    void add(Matrix& matrix, const std::string& name, Entry entry, const std::string& where);
    /// Tells of names that were changed.
    void tell(const std::string& where, Notes& notes) const;

  private:
    std::set<std::string, std::less<>> seen_;
    std::string first_;  ///< that was changed
    std::size_t n_changed_ = 0;
};

}  // namespace assay::imatrix
