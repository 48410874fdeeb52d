#include "calibrate/document_chunks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/extra.h"
#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "imatrix/file.h"

namespace assay::calibrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTemplate =
    "{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}";

/// Lines of one text, a prompt and conversations, of different lengths.
const std::vector<std::string>& lines() {
    static const std::vector<std::string> kLines = {
        R"({"text": "The sea was calm, and the boats went out before it was light."})",
        R"({"prompt": "How many boats? ", "completion": "Seven, of which two came back late in the evening."})",
        R"({"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The fishermen."}]})",
        R"({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where do they go)"
        R"( when the wind turns and the harbour is closed by ice?"}, {"role": "assistant", "content": "South."}]})",
        R"({"text": "Short one."})"};
    return kLines;
}

class DocumentRun : public testing::Test {
  protected:
    static void SetUpTestSuite() { fixture_ = new test::Fixture("llama-dense"); }
    static void TearDownTestSuite() {
        delete fixture_;
        fixture_ = nullptr;
    }

    Options options(const std::vector<std::string>& documents) const {
        Options options = options_for(*fixture_);
        options.text.clear();
        for (const std::string& line : documents) options.text += line + "\n";
        options.dataset = "documents.jsonl";
        options.max_chunks = -1;
        options.documents.chat_template = fixture_->folder() / "template.jinja";
        const std::string text = kTemplate;
        write_file_atomically(options.documents.chat_template, std::as_bytes(std::span(text)));
        return options;
    }
    static double count_of(const imatrix::Matrix& matrix) {
        return matrix.entries.at("blk.0.attn_q.weight").counts.front();
    }

    static test::Fixture* fixture_;
    Recorder recorder_;
};

test::Fixture* DocumentRun::fixture_ = nullptr;

/// |a - b| of all sums and counts, as a part of the largest of the entry.
double difference(const imatrix::Matrix& a, const imatrix::Matrix& b) {
    EXPECT_EQ(a.entries.size(), b.entries.size());
    double most = 0;
    for (const auto& [name, mine] : a.entries) {
        const imatrix::Entry& other = b.entries.at(name);
        EXPECT_EQ(mine.counts, other.counts) << name;
        const double scale = *std::ranges::max_element(other.sum_sq);
        for (std::size_t i = 0; i < mine.sum_sq.size(); ++i)
            most = std::max(most, std::abs(mine.sum_sq[i] - other.sum_sq[i]) / scale);
    }
    return most;
}

TEST_F(DocumentRun, IsEachDocumentAloneAndMerged) {
    const Result together = run(options(lines()), recorder_);
    EXPECT_EQ(together.chunks_done, 5);
    EXPECT_EQ(recorder_.perplexities.size(), 5u);
    imatrix::Matrix merged;
    imatrix::Notes notes;
    perplexity::Sums losses;
    for (const std::string& line : lines()) {
        Recorder recorder;
        const Result alone = run(options({line}), recorder);
        EXPECT_EQ(alone.chunks_done, 1);
        for (const perplexity::Sums& sums : read_losses(alone.matrix.extra)) losses.merge(sums);
        imatrix::merge(merged, alone.matrix, notes);
    }
    EXPECT_LE(difference(together.matrix, merged), 1e-6);
    EXPECT_NEAR(*together.perplexity, losses.finish()->perplexity, 1e-6 * *together.perplexity);
}

TEST_F(DocumentRun, DoesNotDependOnWavesAndThreads) {
    std::string first;
    for (const std::int64_t wave : {1, 2, 5}) {
        Options how = options(lines());
        how.wave_chunks = wave;
        how.n_threads = static_cast<int>(wave % 3 + 1);
        how.documents.weights.of[index_of(documents::Role::User)] = 100;
        Recorder recorder;
        run(how, recorder);
        const std::string bytes = read_file(how.output);
        if (first.empty()) first = bytes;
        EXPECT_TRUE(bytes == first) << wave;
    }
}

TEST_F(DocumentRun, KnowsWhatEachRoleLoses) {
    const Result result = run(options(lines()), recorder_);
    const std::vector<perplexity::Sums> all = read_losses(result.matrix.extra);
    const std::vector<RoleLosses> by_role = read_role_losses(result.matrix.extra);
    ASSERT_EQ(by_role.size(), all.size());
    std::uint64_t tokens = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        perplexity::Sums sum;
        for (const perplexity::Sums& role : by_role[i]) sum.merge(role);
        EXPECT_EQ(sum.count, all[i].count);
        EXPECT_NEAR(sum.nll, all[i].nll, 1e-9 * all[i].nll);
        tokens += sum.count;
    }
    EXPECT_EQ(static_cast<std::int64_t>(tokens), result.tokens - 5) << "all but the first of each";
    EXPECT_GT(by_role[0][index_of(documents::Role::Text)].count, 5u);
    EXPECT_EQ(by_role[0][index_of(documents::Role::Assistant)].count, 0u);
    EXPECT_GT(by_role[1][index_of(documents::Role::Assistant)].count, 5u);
    EXPECT_GT(by_role[3][index_of(documents::Role::System)].count, 1u);
    EXPECT_GT(by_role[3][index_of(documents::Role::Template)].count, 1u);
    std::uint64_t told = 0;
    for (const RoleResult& role : result.roles) told += role.tokens;
    EXPECT_EQ(told, tokens);
}

TEST_F(DocumentRun, WeighsRowsByRole) {
    const Result plain = run(options(lines()), recorder_);
    EXPECT_EQ(count_of(plain.matrix), static_cast<double>(plain.tokens));
    const auto weighed = [&](std::array<int, 6> of) {
        Options how = options(lines());
        how.documents.weights.of = of;
        Recorder recorder;
        return run(how, recorder);
    };
    // What one role gives and what the others do is together what all do.
    const Result assistant = weighed({0, 0, 0, 1024, 0, 0});
    const Result others = weighed({1024, 1024, 1024, 0, 1024, 1024});
    imatrix::Matrix both;
    imatrix::Notes notes;
    imatrix::merge(both, assistant.matrix, notes);
    imatrix::merge(both, others.matrix, notes);
    EXPECT_LE(difference(both, plain.matrix), 1e-6);
    EXPECT_GT(count_of(assistant.matrix), 10);
    EXPECT_EQ(*assistant.perplexity, *plain.perplexity) << "it is not weighted";
    EXPECT_EQ(count_of(weighed({256, 256, 256, 256, 256, 256}).matrix),
              static_cast<double>(plain.tokens) / 4);
}

TEST_F(DocumentRun, TellsAndKeepsWhatBecameOfThem) {
    std::vector<std::string> twice = lines();
    twice.push_back(lines().front());
    twice.push_back(R"({"text": ""})");
    Options how = options(twice);
    how.n_ctx = 24;
    const Result result = run(how, recorder_);
    ASSERT_EQ(recorder_.documents.size(), 1u);
    EXPECT_THAT(recorder_.documents.front(), HasSubstr("JSON lines: 7 documents (2 conversations)"));
    EXPECT_THAT(recorder_.documents.front(), HasSubstr("1 the same as an earlier one"));
    imatrix::Notes notes;
    const gguf::Metadata extra = imatrix::load(how.output, {}, notes).extra;
    EXPECT_EQ(extra.find_integer("assay.documents.count"), 7);
    EXPECT_EQ(extra.find_integer("assay.documents.duplicates"), 1);
    EXPECT_GT(extra.find_integer("assay.documents.cut").value_or(0), 0);
    EXPECT_EQ(extra.find_string("assay.documents.weights"),
              "text=1,system=1,user=1,assistant=1,tool=1,template=1");
    EXPECT_GT(result.n_chunks, 7);
}

TEST_F(DocumentRun, ChunksAreSkippedAndCountedByDocument) {
    Options how = options(lines());
    const auto chunks_of = [&] {
        const gguf::File file = gguf::File::open(how.model, {});
        return document_chunks(file.metadata(), *tokenizer::make_tokenizer(file.metadata()), how, recorder_);
    };
    const Chunks all = chunks_of();
    EXPECT_EQ(all.n_chunks(), 5);
    EXPECT_EQ(all.n_tokens, all.starts.back());
    EXPECT_EQ(all.scored, engine::ScoredTokens::AllButFirst);
    EXPECT_TRUE(all.weights.empty());
    how.skip_chunks = 1;
    how.max_chunks = 2;
    const Chunks some = chunks_of();
    EXPECT_EQ(some.n_chunks(), 2);
    EXPECT_TRUE(std::ranges::equal(some.inputs, all.input_range(1, 2)));
    how.skip_chunks = 5;
    EXPECT_THROW(chunks_of(), Error);
}

TEST_F(DocumentRun, SaysThatAPlainTextHasNoSpeakers) {
    Options how = options_for(*fixture_);
    how.documents.weights.of[0] = 0;
    how.max_chunks = 1;
    const Result result = run(how, recorder_);
    EXPECT_THAT(recorder_.notes,
                testing::Contains(HasSubstr("--weights and --chat-template have no effect")));
    EXPECT_TRUE(result.roles.empty());
    EXPECT_EQ(result.matrix.extra.find("assay.documents.count"), nullptr);
}

}  // namespace
}  // namespace assay::calibrate
