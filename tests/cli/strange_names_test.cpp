// Names, keys, values and datasets of files that try to steer the terminal.
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/shell.h"
#include "core/file.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "imatrix/file.h"
#include "support/fixture.h"

namespace assay::cli {
namespace {

/// Sets the colour, clears the screen in one character, rings, begins a line, writes to the left.
const std::string kAttack =
    "\x1b[31m\xC2\x9B"
    "2J\x07\r\nx\t\xE2\x80\xAE\x7f\xff";

bool harmless(const std::string& text) {
    for (const std::string bad : {"\x1b", "\xC2\x9B", "\x07", "\r", "\xE2\x80\xAE", "\x7f", "\xff", "\nx"})
        if (text.find(bad) != std::string::npos) return false;
    return true;
}

class StrangeNames : public testing::Test {
  protected:
    StrangeNames() {
        imatrix::Matrix matrix;
        matrix.chunk_size = 8;
        matrix.datasets = {"text" + kAttack};
        imatrix::Entry entry{4, {1, 2, 3, 4}, {1, 1, 1, 1}, {8, 0}};
        entry.width = 2;
        matrix.entries["blk.0." + kAttack + ".weight"] = entry;
        matrix.extra.set("assay.model.name", gguf::text("model" + kAttack));
        imatrix::Notes notes;
        imatrix::save(matrix, folder_ / "m.gguf", imatrix::Format::Gguf, notes);
        imatrix::save(matrix, folder_ / "m.dat", imatrix::Format::Legacy, notes);
        write_model();
    }
    void expect_harmless(const std::string& line, int code = 0) {
        const Outcome o = shell(folder_, line);
        EXPECT_EQ(o.code, code) << line << o.err;
        EXPECT_TRUE(harmless(o.out)) << line << '\n' << o.out;
        EXPECT_TRUE(harmless(o.err)) << line << '\n' << o.err;
        EXPECT_NE((o.out + o.err).find("u001b[31m"), std::string::npos) << line << " is not about the name";
    }

    test::TempDir folder_;
    const test::Fixture fixture_{"llama-dense"};

  private:
    void write_model() {
        const gguf::File file = gguf::File::open(fixture_.model());
        gguf::Writer writer;
        for (const auto& [key, value] : file.metadata().values())
            if (key != "general.name") writer.add(key, value);
        writer.add("general.name", gguf::text("model" + kAttack));
        writer.add("x." + kAttack, gguf::texts({kAttack, kAttack}));
        for (const gguf::Tensor& tensor : file.tensors())
            writer.add_tensor(tensor.name, {tensor.ne.begin(), tensor.ne.end()}, tensor.type->id,
                              file.data(tensor));
        const std::vector<float> ones(32, 1.0f);
        writer.add_tensor("v.ffn" + kAttack + ".weight", {32}, quant::TypeId::F32,
                          std::as_bytes(std::span(ones)));
        write_file_atomically(folder_ / "model.gguf", writer.bytes());
    }
};

TEST_F(StrangeNames, ReachNoTerminal) {
    expect_harmless("$ASSAY inspect model.gguf");
    expect_harmless("$ASSAY inspect --json model.gguf");
    expect_harmless("$ASSAY inspect --program model.gguf");
    expect_harmless("$ASSAY inspect m.gguf");
    expect_harmless("$ASSAY inspect m.dat");
    expect_harmless("$ASSAY inspect --json m.dat");
    expect_harmless("$ASSAY stats m.gguf");
    expect_harmless("$ASSAY stats m.gguf --csv");
    expect_harmless("$ASSAY stats m.gguf --json");
    expect_harmless("$ASSAY --in-file m.gguf --show-statistics --statistics-form 2025");
    expect_harmless("$ASSAY --in-file m.gguf -o o.dat");  // tells of partial data
    expect_harmless("$ASSAY report m.gguf -o page.html; cat page.html");
}

TEST_F(StrangeNames, ReachNoRun) {
    const std::string text = fixture_.run().text.string();
    expect_harmless("$ASSAY -m model.gguf -f " + text + " -c 128 --chunks 1 --device cpu -o o.gguf");
    expect_harmless("$ASSAY -m model.gguf -f " + text +
                        " -c 128 --override-kv general.architecture=str:'\x1b[31m' -o o.gguf",
                    1);
}

TEST_F(StrangeNames, StayWhatTheyAreInJson) {
    const Outcome o = shell(folder_, "$ASSAY inspect --json model.gguf");
    const auto json = nlohmann::json::parse(o.out);
    const std::string shown = json["metadata"]["general.name"].get<std::string>();
    EXPECT_EQ(shown,
              "model\x1b[31m\xC2\x9B"
              "2J\x07\r\nx\t\xE2\x80\xAE\x7f\xEF\xBF\xBD");
}

}  // namespace
}  // namespace assay::cli
