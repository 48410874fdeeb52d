// The program: finds the command, and turns an Error into one sentence and exit code 1.
#include <array>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/help.h"

namespace {

using Command = int (*)(const std::vector<std::string>&);

constexpr std::array<std::pair<std::string_view, Command>, 9> kCommands{{
    {"calibrate", assay::cli::run_calibrate},
    {"tokenize", assay::cli::run_tokenize},
    {"tokenise", assay::cli::run_tokenize},
    {"inspect", assay::cli::run_inspect},
    {"stats", assay::cli::run_stats},
    {"statistics", assay::cli::run_stats},
    {"similarity", assay::cli::run_similarity},
    {"report", assay::cli::run_report},
    {"devices", assay::cli::run_devices},
}};

int run(std::vector<std::string> words) {
    for (const auto& [name, command] : kCommands) {
        if (words.empty() || words.front() != name) continue;
        words.erase(words.begin());
        if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) break;
        return command(words);
    }
    if (words.empty() || (words.size() == 1 && (words[0] == "--help" || words[0] == "-h"))) {
        assay::cli::write_stdout(assay::cli::help_text());
        return words.empty() ? 1 : 0;
    }
    return assay::cli::run_calibrate(words);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::bad_alloc&) {
        std::fputs("assay: out of memory; try a smaller --memory or --wave\n", stderr);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "assay: %s\n", error.what());
    }
    return 1;
}
