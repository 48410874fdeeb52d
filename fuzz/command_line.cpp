#include "cli/arguments.h"
#include "core/error.h"
#include "fuzz/support.h"

namespace assay::fuzz {

namespace {

cli::Words words_of(std::string_view text) {
    cli::Words words;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        words.emplace_back(text.substr(0, end));
        text = end == text.npos ? std::string_view() : text.substr(end + 1);
    }
    return words;
}

}  // namespace

void examine_command_line(Bytes bytes) {
    if (bytes.empty()) return;
    constexpr cli::Commands kCommands[] = {cli::kCalibrate, cli::kTokenize,    cli::kInspect,
                                           cli::kStats,     cli::kSimilarity,  cli::kReport,
                                           cli::kRecipe,    cli::kSensitivity, cli::kDevices};
    const cli::Commands command = kCommands[static_cast<std::size_t>(bytes.front()) % std::size(kCommands)];
    try {
        const cli::Arguments arguments = cli::parse_arguments(words_of(text_of(bytes.subspan(1))), command);
        (void)cli::choose_mode(arguments);
        if (arguments.text_from == cli::TextFrom::Prompt) (void)cli::read_text(arguments);
    } catch (const Error& error) {
        expect(error.kind() == ErrorKind::Usage, error.what());
    }
}

}  // namespace assay::fuzz
