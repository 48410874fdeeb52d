#include "documents/helper_process.h"

#include <gtest/gtest.h>

#include "tokenizer/sample.h"

namespace assay::documents {
namespace {

using Outcome = HelperProcess::Outcome;
using std::chrono::milliseconds;

HelperProcess shell(const char* script) { return HelperProcess({"/bin/sh", "-c", script}); }

TEST(HelperProcess, AnswersWhatItIsSent) {
    HelperProcess echo = shell("exec cat");
    for (const std::size_t n : {std::size_t{0}, std::size_t{5}, std::size_t{100'000}}) {
        const HelperProcess::Answer answer = echo.ask(std::string(n, 'x'), milliseconds(60'000));
        EXPECT_EQ(answer.outcome, Outcome::Answered);
        EXPECT_EQ(answer.message.size(), n);
    }
}

TEST(HelperProcess, IsKilledWhenItTakesTooLong) {
    HelperProcess sleeper = shell("exec sleep 1000");
    EXPECT_EQ(sleeper.ask("x", milliseconds(50)).outcome, Outcome::TimedOut);
    EXPECT_EQ(sleeper.ask("x", milliseconds(50)).outcome, Outcome::Ended);
    // One that does not even listen.
    HelperProcess deaf = shell("exec sleep 1000");
    EXPECT_EQ(deaf.ask(std::string(10'000'000, 'x'), milliseconds(50)).outcome, Outcome::TimedOut);
}

TEST(HelperProcess, MayEndInTheMiddle) {
    HelperProcess gone = shell("exit 3");
    EXPECT_EQ(gone.receive(milliseconds(60'000)).outcome, Outcome::Ended);
    HelperProcess broken = shell("printf 'abcdefgh'");  // says that more than a gigabyte follows
    EXPECT_EQ(broken.receive(milliseconds(60'000)).outcome, Outcome::Ended);
    HelperProcess cut = shell("printf '\\005\\000\\000\\000ab'");
    EXPECT_EQ(cut.receive(milliseconds(60'000)).outcome, Outcome::Ended);
}

TEST(HelperProcess, HasNothingButItsSocket) {
    // The shell's own descriptors: 0, 1, 2 and the folder that ls reads.
    HelperProcess lister = shell("n=$(ls /proc/self/fd | wc -l); printf '\\001\\000\\000\\000%d' $n");
    const HelperProcess::Answer answer = lister.receive(milliseconds(60'000));
    EXPECT_EQ(answer.message, "4");
}

TEST(HelperProcess, ThatIsNotThereIsSaid) {
    EXPECT_EQ(tokenizer::thrown([] { HelperProcess({"/no/such/program"}); }),
              "/no/such/program: cannot be started: No such file or directory");
}

}  // namespace
}  // namespace assay::documents
