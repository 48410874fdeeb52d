// Which room may include which. The table below is the rule; the test reads every include under src/ and
// says which line breaks it.
#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

struct Room {
    std::string_view name;
    std::set<std::string_view> may_include;
};

const std::vector<Room>& rooms() {
    static const std::vector<Room> kRooms = {
        {"core", {}},
        {"cluster", {"core"}},
        {"quant", {"core"}},
        {"gguf", {"core", "quant"}},
        {"tokenizer", {"core", "gguf"}},
        {"documents", {"core", "gguf", "tokenizer"}},
        {"model", {"core", "gguf", "quant"}},
        {"backend", {"core", "quant"}},
        {"plan", {"core", "gguf", "quant", "model", "backend"}},
        {"weights", {"core", "gguf", "quant", "model", "backend", "plan"}},
        {"engine", {"core", "gguf", "quant", "model", "backend", "plan", "weights"}},
        {"imatrix", {"core", "gguf"}},
        {"similarity", {"core"}},
        {"perplexity", {"core"}},
        {"stats", {"core", "imatrix"}},
        {"report", {"core", "imatrix", "stats", "similarity", "perplexity"}},
        {"recipe", {"core", "quant", "gguf", "imatrix"}},
        {"calibrate",
         {"core", "cluster", "quant", "gguf", "tokenizer", "documents", "model", "backend", "plan", "weights",
          "engine", "imatrix", "similarity", "perplexity", "stats", "recipe"}},
        {"cli",
         {"core", "cluster", "quant", "gguf", "tokenizer", "documents", "model", "backend", "plan", "weights",
          "engine", "imatrix", "similarity", "perplexity", "stats", "report", "recipe", "calibrate"}},
    };
    return kRooms;
}

/// Folders of backend/ that only their own files and backend/open.cpp may include.
const std::set<std::string_view>& private_folders() {
    static const std::set<std::string_view> kFolders = {"backend/cpu", "backend/cuda"};
    return kFolders;
}

const Room* find_room(std::string_view name) {
    const auto it =
        std::find_if(rooms().begin(), rooms().end(), [&](const Room& r) { return r.name == name; });
    return it == rooms().end() ? nullptr : &*it;
}

/// "backend" of "backend/cpu/gemm.h"; nothing when there is no folder.
std::string_view first_folder(std::string_view path) {
    const auto slash = path.find('/');
    return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

/// "backend/cpu" of "backend/cpu/gemm.h".
std::string_view first_two_folders(std::string_view path) {
    const auto second = path.find('/', first_folder(path).size() + 1);
    return second == path.npos ? std::string_view() : path.substr(0, second);
}

/// Why `file` may not include `included`, both relative to src/; empty when it may. `quoted` is false for the
/// form with angle brackets, which serves for libraries.
std::string objection(std::string_view file, std::string_view included, bool quoted) {
    const std::string_view target = first_folder(included);
    if (find_room(target) == nullptr)
        return quoted ? "names no room: write the path from src/, and <> for a library" : "";
    const Room* room = find_room(first_folder(file));
    if (room == nullptr) return "its folder is not in the table of rooms";
    if (target != room->name && !room->may_include.contains(target))
        return std::string(room->name) + " may not include " + std::string(target);
    const std::string_view inner = first_two_folders(included);
    if (private_folders().contains(inner) && first_two_folders(file) != inner && file != "backend/open.cpp")
        return "only backend/open.cpp may include " + std::string(inner) + "/ from outside";
    return "";
}

bool is_source(const fs::path& path) {
    static const std::set<std::string> kSuffixes = {".h", ".hpp", ".cpp", ".inc", ".cu", ".cuh"};
    return kSuffixes.contains(path.extension().string());
}

/// Files of source code below src/, relative to it, sorted.
std::vector<std::string> source_files(const fs::path& src) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(src))
        if (entry.is_regular_file() && is_source(entry.path()))
            files.push_back(fs::relative(entry.path(), src).generic_string());
    std::sort(files.begin(), files.end());
    return files;
}

/// One sentence per forbidden include of a file's text.
std::vector<std::string> objections(const std::string& file, const std::string& text) {
    static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
    std::vector<std::string> found;
    std::istringstream lines(text);
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        std::smatch match;
        if (!std::regex_search(line, match, kInclude)) continue;
        const std::string why = objection(file, match[2].str(), match[1] == "\"");
        if (!why.empty())
            found.push_back(file + ":" + std::to_string(number) + ": " + match[2].str() + ": " + why);
    }
    return found;
}

const fs::path& source_folder() {
    static const fs::path kFolder = fs::path(ASSAY_SOURCE_DIR) / "src";
    return kFolder;
}

TEST(IncludeDirection, EveryIncludeFollowsTheTable) {
    const auto files = source_files(source_folder());
    ASSERT_FALSE(files.empty());
    for (const std::string& file : files)
        for (const std::string& sentence : objections(file, read_file(source_folder() / file)))
            ADD_FAILURE() << sentence;
}

TEST(IncludeDirection, TheTableHasEveryFolderAndNoOther) {
    for (const auto& entry : fs::directory_iterator(source_folder())) {
        if (!entry.is_directory()) continue;
        EXPECT_NE(find_room(entry.path().filename().string()), nullptr)
            << entry.path().filename() << " is a folder of src/ that the table of rooms lacks";
    }
    for (const Room& room : rooms())
        EXPECT_TRUE(fs::is_directory(source_folder() / room.name)) << room.name << " is no folder of src/";
}

TEST(IncludeDirection, TheTableHasNoCycle) {
    // Rooms are listed after what they include, so looking back is enough.
    std::set<std::string_view> seen;
    for (const Room& room : rooms()) {
        for (const std::string_view name : room.may_include)
            EXPECT_TRUE(seen.contains(name)) << room.name << name;
        EXPECT_TRUE(seen.insert(room.name).second) << room.name << " is listed twice";
    }
}

TEST(IncludeDirection, ObjectsToWhatItShould) {
    struct Case {
        std::string_view file, included;
        bool allowed;
    };
    const std::vector<Case> cases = {
        {"core/file.cpp", "core/error.h", true},
        {"core/file.cpp", "gguf/file.h", false},
        {"gguf/file.h", "quant/type_table.h", true},
        {"quant/decode.h", "gguf/file.h", false},
        {"engine/pass.cpp", "backend/backend.h", true},
        {"engine/pass.cpp", "backend/cpu/gemm.h", false},
        {"backend/open.cpp", "backend/cuda/device.h", true},
        {"backend/plan.cpp", "backend/cpu/gemm.h", false},
        {"backend/cpu/softmax.cpp", "backend/cpu/gemm.h", true},
        {"backend/cuda/softmax.cu", "backend/cpu/gemm.h", false},
        {"cli/main.cpp", "backend/cpu/gemm.h", false},
        {"imatrix/merge.cpp", "engine/activation_sink.h", false},
        {"calibrate/collector.cpp", "engine/activation_sink.h", true},
        {"stats/stats.cpp", "engine/activation_sink.h", false},
        {"calibrate/job.cpp", "report/html.h", false},
        {"cli/main.cpp", "report/html.h", true},
        {"nowhere/x.cpp", "core/error.h", false},
        {"core/file.cpp", "error.h", false},
        {"core/file.cpp", "../gguf/file.h", false},
    };
    for (const Case& c : cases)
        EXPECT_EQ(objection(c.file, c.included, true).empty(), c.allowed)
            << c.file << " includes " << c.included;
    EXPECT_EQ(objection("core/file.cpp", "sys/mman.h", false), "");
    EXPECT_NE(objection("core/file.cpp", "gguf/file.h", false), "");
}

TEST(IncludeDirection, FindsIncludesHoweverTheyAreSpaced) {
    EXPECT_THAT(objections("core/x.h", "//\n  #  include \"engine/pass.h\"\n#include <vector>\n"),
                testing::ElementsAre("core/x.h:2: engine/pass.h: core may not include engine"));
    EXPECT_THAT(objections("core/x.h", "// #include \"engine/pass.h\"\n"), testing::IsEmpty());
}

}  // namespace
}  // namespace assay
