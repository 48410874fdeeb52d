// Every header of a model beside the matrix that a stock program made of it: the entries that the program
// implies must be the matrix's, by name and length. No weights, no kernels: it finds most mistakes of an
// architecture. RWKV-6's time_mix_w2 is an entry of ours only: the stock program leaves it out, since it
// multiplies one row at a time there. ASSAY_HEADS names another folder of NAME.head.gguf and
// NAME.imatrix.gguf. Names with "-nextn" are of matrices of the blocks that predict ahead too.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>

#include "imatrix/file.h"
#include "model/entries.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::model {
namespace {

using Lengths = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;  // columns, counts

struct Head {
    std::filesystem::path folder;
    std::string name;
};

void PrintTo(const Head& head, std::ostream* out) { *out << head.name; }

std::vector<Head> heads() {
    std::vector<Head> found;
    const char* other = std::getenv("ASSAY_HEADS");
    const std::filesystem::path folder =
        other != nullptr ? other : std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string file = entry.path().filename();
        if (const auto end = file.find(".head.gguf"); end != std::string::npos)
            found.push_back({folder, file.substr(0, end)});
    }
    std::ranges::sort(found, {}, &Head::name);
    return found;
}

std::string test_name(const testing::TestParamInfo<Head>& info) {
    std::string name;
    for (const char c : info.param.name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    return name;
}

class HeadTest : public testing::TestWithParam<Head> {};

TEST_P(HeadTest, ImpliesTheEntriesOfTheReference) {
    const Head& head = GetParam();
    const test::TempDir folder;
    test::write_hollow_model(head.folder / (head.name + ".head.gguf"), folder / "model.gguf");
    const gguf::File file = gguf::File::open(folder / "model.gguf");
    Lengths implied;
    for (const Entry& entry :
         entries_of(build(file, {128, test::collects_nextn(head.name)}), "output.weight"))
        implied[entry.weight] = {entry.columns, entry.n_counts};
    Lengths expected;
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(head.folder / (head.name + ".imatrix.gguf"), {}, notes);
    for (const auto& [name, entry] : matrix.entries)
        expected[name] = {static_cast<std::int64_t>(entry.sum_sq.size()),
                          static_cast<std::int64_t>(entry.counts.size())};
    for (const auto& [name, lengths] : expected) EXPECT_TRUE(implied.contains(name)) << name << " is missing";
    for (const auto& [name, lengths] : implied) {
        const auto found = expected.find(name);
        if (found == expected.end() && name.ends_with("time_mix_w2.weight")) continue;
        if (found == expected.end())
            ADD_FAILURE() << name << " is not in the reference";
        else
            EXPECT_EQ(lengths, found->second) << name;
    }
}

// Similarity compares the inputs of layers with one another, and the last one's with what the head leaves:
// products with embeddings of n-grams, or with all streams side by side, may come before.
TEST_P(HeadTest, InputsOfLayersAreOfOneWidth) {
    const Head& head = GetParam();
    const test::TempDir folder;
    test::write_hollow_model(head.folder / (head.name + ".head.gguf"), folder / "model.gguf");
    const Program program = build(gguf::File::open(folder / "model.gguf"), {128});
    for (const Layer& layer : program.layers)
        if (layer.input.present()) {
            EXPECT_EQ(layer.input.cols, program.final.cols) << "layer " << layer.index;
        }
}

INSTANTIATE_TEST_SUITE_P(Headers, HeadTest, testing::ValuesIn(heads()), test_name);

}  // namespace
}  // namespace assay::model
