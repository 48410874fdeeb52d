#include "reliability/run.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "imatrix/file.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

std::string text_or_nothing(const fs::path& path) {
    return fs::exists(path) ? read_file(path) : std::string();
}

}  // namespace

std::vector<std::string> run_names() {
    return {"llama-dense", "qwen3moe-moe", "mamba2-dense", "deepseek2-lite-mla-moe"};
}

bool all_faults() { return std::getenv("ASSAY_ALL_FAULTS") != nullptr; }

bool has_mpi() {
    return fs::exists(fs::path(ASSAY_PROGRAM).parent_path() / "libassay_mpi.so") &&
           std::system("mpirun --version > /dev/null 2>&1") == 0;
}

TextFiles conversations() {
    return {
        {{"d.jsonl",
          R"({"messages": [{"role": "user", "content": "How many boats?"}, {"role": "assistant", "content": "Seven."}]})"
          "\n"
          R"({"messages": [{"role": "user", "content": "Who went out first, and where did they go?"}, )"
          R"({"role": "assistant", "content": "Those from the north."}]})"
          "\n"},
         {"t.jinja", "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"}},
        "-f d.jsonl --chat-template t.jinja --weights user=0.25,template=0.5"};
}

TextFiles pieces() {
    return {{{"p.txt", "The sea was calm.%%The boats went out.%%It rained.%%Then they came back."}},
            "-f p.txt --split-on %%"};
}

bool has_jinja2() { return std::system("/usr/bin/python3 -c 'import jinja2' > /dev/null 2>&1") == 0; }

FaultRun::FaultRun(const std::string& fixture, TextFiles text) : fixture_(fixture), text_(std::move(text)) {
    for (const auto& [name, content] : text_.files)
        write_file_atomically(folder_ / name, std::as_bytes(std::span(content)));
    const cli::Outcome whole = start({}, "--no-checkpoint");
    if (whole.code != 0) throw Error(ErrorKind::Internal, fixture, whole.err);
    reference_ = read_file(output());
    reference_copy_ = read_file(folder() / "out.gguf.at_2");
    reference_text_ = whole.out;
}

std::string FaultRun::command(const std::string& options) const {
    return fmt::format(
        "$ASSAY -m {} -f {} -c 32 --chunks 3 --wave 2 -ofreq 2 --save-frequency 2 -lsim --process-output "
        "--device cpu "
        "--precision f32 -t 1 --checkpoint-interval 0 -o run/out.gguf {} {}",
        fixture_.model().string(), fixture_.run().text.string(), text_.options, options);
}

std::string FaultRun::faults(const std::string& settings) const {
    return fmt::format("LD_PRELOAD='{}' ASAN_OPTIONS=verify_asan_link_order=0 FAULT_FOLDER='{}' {}",
                       ASSAY_FAULTS, fs::canonical(folder_.path()).string() + "/run", settings);
}

cli::Outcome FaultRun::start(const std::string& before, const std::string& options) {
    fs::remove_all(folder());
    fs::remove_all(durable());
    fs::create_directories(folder());
    fs::create_directories(durable());
    return cli::shell(folder_, before + ' ' + command(options));
}

cli::Outcome FaultRun::resume(const std::string& before, const std::string& options) {
    return cli::shell(folder_, before + ' ' + command("--resume " + options));
}

std::vector<std::string> FaultRun::calls(const std::string& options) {
    const fs::path log = folder_ / "calls";
    fs::remove(log);
    const cli::Outcome outcome = start(faults("FAULT_LOG='" + log.string() + "'"), options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::vector<std::string> calls;
    std::ifstream in(log);
    for (std::string line; std::getline(in, line);) calls.push_back(line.substr(line.find(' ') + 1));
    return calls;
}

std::vector<std::string> FaultRun::files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder()))
        if (entry.is_regular_file()) found.push_back(entry.path().lexically_relative(folder()).string());
    std::ranges::sort(found);
    return found;
}

std::string FaultRun::damaged() const {
    for (const char* name : {"out.gguf", "out.gguf.at_2"}) {
        if (!fs::exists(folder() / name)) continue;
        try {
            imatrix::Notes notes;
            imatrix::load(folder() / name, {}, notes);
        } catch (const Error& error) {
            return error.what();
        }
    }
    return {};
}

void FaultRun::resume_and_judge(bool state_was_kept, Tally& tally, const std::string& what) {
    EXPECT_EQ(damaged(), "") << what;
    const cli::Outcome outcome = resume();
    const bool complete = outcome.err.find("the run is complete") != std::string::npos;
    const bool same = outcome.code == 0 && text_or_nothing(output()) == reference_ &&
                      text_or_nothing(folder() / "out.gguf.at_2") == reference_copy_ &&
                      (complete || outcome.out == reference_text_);
    const std::vector<std::string> whole{"out.gguf", "out.gguf.at_2", "out.gguf.checkpoint/complete"};
    if (!same)
        ++tally.different;
    else if (state_was_kept && outcome.err.find("nothing to resume") != std::string::npos)
        ++tally.lost;
    else if (files() != whole)
        ++tally.cleanup;
    else
        ++tally.same;
    EXPECT_TRUE(same) << what << '\n' << outcome.code << '\n' << outcome.err << outcome.out;
    EXPECT_EQ(files(), whole) << what;
}

void FaultRun::cut_power() {
    const auto list_of = [&](const fs::path& path) {
        std::string name = fs::canonical(folder_.path()).string() + '/' + path.string();
        std::ranges::replace(name, '/', '%');
        return durable() / ("folder." + name);
    };
    fs::rename(folder(), folder_ / "lost");
    fs::create_directories(folder());
    std::vector<fs::path> folders{"run"};
    while (!folders.empty()) {
        const fs::path path = folders.back();
        folders.pop_back();
        fs::create_directories(folder_.path() / path);
        std::ifstream list(list_of(path));
        for (std::string content, name; list >> content >> name;) {
            if (content == "folder")
                folders.push_back(path / name);
            else if (fs::exists(durable() / content))
                fs::copy_file(durable() / content, folder_.path() / path / name);
            else
                std::ofstream(folder_.path() / path / name);  // its name was flushed, its content was not
        }
    }
    fs::remove_all(folder_ / "lost");
}

}  // namespace assay
