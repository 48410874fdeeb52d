// Where merging can be cut without changing its outcome, in vocabularies that write a space as U+2581.
//
// A merge joins two neighbours into a text that must be known. If no known text has U+2581 right behind the
// byte b, nothing ever joins across "b|U+2581": both sides can be merged apart, and the left side, mostly one
// word, can be looked up among words seen before.
#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>

#include "tokenizer/utf8.h"

namespace assay::tokenizer {

class WordBreaks {
  public:
    /// Takes note of one text that merging may produce.
    void learn(std::string_view text) {
        for (std::size_t mark = text.find(kSpaceMark, 1); mark != std::string_view::npos;
             mark = text.find(kSpaceMark, mark + 1))
            joined_.set(static_cast<unsigned char>(text[mark - 1]));
    }

    /// visit(part) for each part of `text` that can be merged on its own, in order. Cuts only between
    /// characters as character_length() counts them, which in damaged text may run over a mark.
    template <typename Visit> void for_each(std::string_view text, Visit visit) const {
        std::size_t begin = 0;
        for (std::size_t i = 0; i < text.size(); i += character_length(text, i)) {
            if (i == begin || text[i] != kSpaceMark[0] || text.substr(i, kSpaceMark.size()) != kSpaceMark)
                continue;
            if (joined_.test(static_cast<unsigned char>(text[i - 1]))) continue;
            visit(text.substr(begin, i - begin));
            begin = i;
        }
        if (begin < text.size()) visit(text.substr(begin));
    }

  private:
    std::bitset<256> joined_;  ///< bytes that some known text has right before a mark
};

}  // namespace assay::tokenizer
