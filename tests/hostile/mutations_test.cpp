// A small share of what the program `mutate` does (scripts/mutate): every subject, its first mutations.
#include <gtest/gtest.h>

#include "core/error.h"
#include "hostile/subject.h"

namespace assay::test {
namespace {

TEST(Mutations, AreRefusedOrHarmless) {
    constexpr std::uint64_t kEach = 40;
    for (Subject& subject : subjects()) {
        std::uint64_t refused = 0;
        for (std::uint64_t number = 0; number < kEach; ++number) {
            const Mutation mutation = subject.mutation(number);
            SCOPED_TRACE(fmt::format("{} {}:{}", subject.name(), number, mutation.what));
            fuzz::Verdict verdict{};
            ASSERT_NO_THROW(verdict = subject.examine(mutation, number % 8 == 0));
            refused += verdict == fuzz::Verdict::Refused;
        }
        EXPECT_GT(refused, 0u) << subject.name();
        EXPECT_LT(refused, kEach) << subject.name();
    }
}

}  // namespace
}  // namespace assay::test
