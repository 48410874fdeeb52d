#include "core/error.h"
#include "fuzz/support.h"
#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace assay::fuzz {

namespace {

constexpr std::string_view kText =
    "A word, Another  one\n\n\tits tail's end. 12345 0x7f \xE2\x96\x81 na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC "
    "\xF0\x9F\x98\x80<s></s><|a|> e\xCC\x81 \xEF\xBB\xBF\xFF\xC0\xAF \xED\xA0\x80 \0 end";
constexpr std::size_t kMostBytes = 4096;

void encode(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
    for (const bool parse_special : {false, true}) try {
            for (const tokenizer::Token id : tokenizer.encode(text, {true, parse_special}))
                expect(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary().size(),
                       "an id is inside the vocabulary");
        } catch (const Error& error) {
            expect(error.kind() == ErrorKind::BadFile, error.what());
        }
}

}  // namespace

void examine_vocabulary(Bytes bytes) {
    std::unique_ptr<tokenizer::Tokenizer> tokenizer;
    try {
        tokenizer = tokenizer::make_tokenizer(gguf::parse_header(bytes, "fuzz").metadata);
    } catch (const Error& error) {
        expect(error.kind() != ErrorKind::Internal, error.what());
        return;
    }
    encode(*tokenizer, kText);
    encode(*tokenizer, text_of(bytes).substr(0, kMostBytes));
}

}  // namespace assay::fuzz
