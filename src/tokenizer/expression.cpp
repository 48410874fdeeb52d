#include "tokenizer/expression.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <charconv>
#include <limits>
#include <pcre2.h>

#include "core/error.h"
#include "tokenizer/characters.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

char reduce(char32_t code_point) noexcept {
    if (is_white_space(code_point)) return static_cast<char>(Reduced::Space);
    switch (kind_of(code_point)) {
        case Kind::Letter: return static_cast<char>(Reduced::Letter);
        case Kind::Mark: return static_cast<char>(Reduced::Mark);
        case Kind::Number: return static_cast<char>(Reduced::Number);
        case Kind::Punctuation: return static_cast<char>(Reduced::Punctuation);
        case Kind::Symbol: return static_cast<char>(Reduced::Symbol);
        case Kind::Control:
        case Kind::Other: return static_cast<char>(Reduced::Other);
    }
    return static_cast<char>(Reduced::Other);
}

template <typename Reduce> void append_each(std::string& out, std::string_view clean, Reduce reduce_one) {
    out.reserve(out.size() + clean.size());
    for (std::size_t i = 0; i < clean.size();) {
        if (static_cast<unsigned char>(clean[i]) < 0x80) {
            out.push_back(clean[i++]);
            continue;
        }
        const Decoded decoded = decode_utf8(clean, i);
        out.push_back(reduce_one(decoded.code_point));
        i += decoded.n_bytes;
    }
}

/// What a \p{...} stands for inside a class: its ASCII members (General_Category of ASCII does not change
/// between Unicode versions), escaped, and its byte.
std::string category_members(std::string_view name) {
    const auto with = [](std::string_view ascii, Reduced byte) {
        return std::string(ascii) + static_cast<char>(byte);
    };
    if (name == "L") return with("A-Za-z", Reduced::Letter);
    if (name == "L8") return with("", Reduced::Letter);
    if (name == "N") return with("0-9", Reduced::Number);
    if (name == "P") return with("!-#%-*,-/:;?@\\[-\\]_{}", Reduced::Punctuation);
    if (name == "S") return with("$+<->\\^`|~", Reduced::Symbol);
    if (name == "M") return with("", Reduced::Mark);
    throw_error(ErrorKind::Internal, "pre-tokenizer", "unknown category {}", name);
}

}  // namespace

void append_reduced(std::string& out, std::string_view clean) { append_each(out, clean, reduce); }

/// Rewrites a pattern from the notation of the header into PCRE2's.
class Expression::Translator {
  public:
    Translator(std::string_view pattern, std::vector<Ranges>& lists) : pattern_(pattern), lists_(lists) {}

    std::string run() {
        while (position_ < pattern_.size()) {
            if (pattern_[position_] == '[')
                translate_class();
            else if (at("\\p{"))
                out_.append("[").append(category_members(take_braced())).append("]");
            else
                copy_character();
        }
        return std::move(out_);
    }

  private:
    bool at(std::string_view opening) const { return pattern_.substr(position_, opening.size()) == opening; }

    /// What is between the braces of the \p{...} or \x{...} here; steps behind it.
    std::string_view take_braced() {
        const std::size_t begin = position_ + 3;
        const std::size_t end = pattern_.find('}', begin);
        position_ = end + 1;
        return pattern_.substr(begin, end - begin);
    }

    void copy_character() {
        const std::size_t n = pattern_[position_] == '\\' ? 2 : 1;
        out_.append(pattern_.substr(position_, n));
        position_ += n;
    }

    void translate_class() {
        copy_character();
        Ranges listed;
        while (position_ < pattern_.size() && pattern_[position_] != ']') {
            if (at("\\x{"))
                listed.push_back(take_range());
            else if (at("\\p{"))
                out_ += category_members(take_braced());
            else
                copy_character();
        }
        if (!listed.empty())
            out_ += static_cast<char>(static_cast<unsigned char>(Reduced::FirstListed) +
                                      index_of(joined(std::move(listed))));
        copy_character();
    }

    Range take_range() {
        const char32_t first = take_code_point();
        if (!at("-\\x{")) return {first, first};
        ++position_;
        return {first, take_code_point()};
    }

    char32_t take_code_point() {
        const std::string_view digits = take_braced();
        std::uint32_t code_point = 0;
        std::from_chars(digits.data(), digits.data() + digits.size(), code_point, 16);
        return code_point;
    }

    static Ranges joined(Ranges ranges) {
        std::sort(ranges.begin(), ranges.end(),
                  [](const Range& a, const Range& b) { return a.first < b.first; });
        Ranges result;
        for (const Range& range : ranges) {
            if (!result.empty() && range.first <= result.back().last + 1)
                result.back().last = std::max(result.back().last, range.last);
            else
                result.push_back(range);
        }
        return result;
    }

    std::size_t index_of(Ranges ranges) {
        const auto it = std::find(lists_.begin(), lists_.end(), ranges);
        if (it != lists_.end()) return static_cast<std::size_t>(it - lists_.begin());
        lists_.push_back(std::move(ranges));
        return lists_.size() - 1;
    }

    std::string_view pattern_;
    std::vector<Ranges>& lists_;
    std::size_t position_ = 0;
    std::string out_;
};

struct Expression::Compiled {
    explicit Compiled(pcre2_code* c) : code(c) {}
    ~Compiled() { pcre2_code_free(code); }
    Compiled(const Compiled&) = delete;
    Compiled& operator=(const Compiled&) = delete;
    pcre2_code* code;
};

Expression::Expression(std::string_view pattern) {
    pattern_ = Translator(pattern, lists_).run();
    int error = 0;
    PCRE2_SIZE position = 0;
    pcre2_code* code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern_.data()), pattern_.size(),
                      PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP, &error, &position, nullptr);
    if (code == nullptr)
        throw_error(ErrorKind::Internal, "pre-tokenizer", "PCRE2 error {} at byte {} of pattern {}", error,
                    position, pattern);
    compiled_ = std::make_unique<Compiled>(code);
    // Without a JIT for this processor PCRE2 interprets: slower, same matches.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;

char Expression::reduce_listed(char32_t code_point) const noexcept {
    if (is_white_space(code_point)) return static_cast<char>(Reduced::Space);
    for (std::size_t i = 0; i < lists_.size(); ++i) {
        const auto it = std::upper_bound(lists_[i].begin(), lists_[i].end(), code_point,
                                         [](char32_t c, const Range& range) { return c < range.first; });
        if (it != lists_[i].begin() && code_point <= std::prev(it)->last)
            return static_cast<char>(static_cast<unsigned char>(Reduced::FirstListed) + i);
    }
    return reduce(code_point);
}

void Expression::append_reduced_listed(std::string& out, std::string_view clean) const {
    append_each(out, clean, [this](char32_t code_point) { return reduce_listed(code_point); });
}

struct Expression::Workspace::Handles {
    Handles() = default;
    ~Handles() {
        pcre2_jit_stack_free(stack);
        pcre2_match_context_free(context);
        pcre2_match_data_free(data);
    }
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;

    pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, 1024 * 1024, nullptr);
};

Expression::Workspace::Workspace() : handles_(std::make_unique<Handles>()) {
    if (handles_->data == nullptr || handles_->context == nullptr)
        throw Error(ErrorKind::Internal, "pre-tokenizer", "PCRE2 could not allocate its work space");
    pcre2_set_match_limit(handles_->context, std::numeric_limits<std::uint32_t>::max());
    if (handles_->stack != nullptr) pcre2_jit_stack_assign(handles_->context, nullptr, handles_->stack);
}

Expression::Workspace::~Workspace() = default;

bool Expression::find(std::string_view reduced, std::size_t from, Workspace& workspace, Match& match) const {
    const int result =
        pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(reduced.data()), reduced.size(), from, 0,
                    workspace.handles_->data, workspace.handles_->context);
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0)
        throw_error(ErrorKind::Internal, "pre-tokenizer", "PCRE2 error {} while matching pattern {}", result,
                    pattern_);
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(workspace.handles_->data);
    match = {ends[0], ends[1]};
    return true;
}

}  // namespace assay::tokenizer
