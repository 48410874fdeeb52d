#include "cli/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::cli {
namespace {

TEST(ParseSize, TakesPowersOf1024) {
    EXPECT_EQ(parse_size("--memory", "4096"), 4096u);
    EXPECT_EQ(parse_size("--memory", "7b"), 7u);
    EXPECT_EQ(parse_size("--memory", "2k"), 2048u);
    EXPECT_EQ(parse_size("--memory", "512M"), 512u << 20);
    EXPECT_EQ(parse_size("--memory", "1.5g"), 3ull << 29);
    EXPECT_EQ(parse_size("--memory", "2GiB"), 2ull << 30);
    EXPECT_EQ(parse_size("--memory", "1tb"), 1ull << 40);
    EXPECT_EQ(parse_size("--memory", "0.1"), 1u) << "the least size: 0 would mean no bound";
}

TEST(ParseSize, RefusesTheRest) {
    for (const char* text :
         {"", "g", "0", "-1g", "1q", "1gg", "1g ", "1e3", "nan", "inf", "0x10", "8388608t", "1 g"})
        EXPECT_THROW(parse_size("--memory", text), Error) << text;
}

TEST(ParseSize, SaysWhatIsExpected) {
    try {
        parse_size("--memory", "3q");
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "--memory: '3q' is no size; expected a number of bytes like 512m, 24g or 1.5t");
    }
}

TEST(ParseInteger, TakesWholeNumbersOnly) {
    EXPECT_EQ(parse_integer("-c", "512", 1), 512);
    EXPECT_EQ(parse_integer("-c", "-1", -1), -1);
    EXPECT_THROW(parse_integer("-c", "2147483648", 1), Error);
    EXPECT_EQ(parse_integer("-okv", "2147483648", 1, INT64_MAX), 2147483648);
    for (const char* text : {"", "x", "1.5", "5 ", "+5", "99999999999999999999", "0", "-1"})
        EXPECT_THROW(parse_integer("-c", text, 1), Error) << text;
}

TEST(ParseDevice, TakesThePeersNames) {
    EXPECT_EQ(parse_device("none"), "cpu");
    EXPECT_EQ(parse_device("CUDA1"), "cuda:1");
    EXPECT_EQ(parse_device("cuda:1"), "cuda:1");
    EXPECT_EQ(parse_device("CPU"), "cpu");
}

TEST(ParseList, HasAtLeastOnePart) {
    EXPECT_THAT(parse_list("--x", "a,b"), testing::ElementsAre("a", "b"));
    EXPECT_THAT(parse_list("--x", ",a,,"), testing::ElementsAre("a"));
    for (const char* nothing : {"", ",,", "\"\""}) EXPECT_THROW(parse_list("--x", nothing), Error) << nothing;
}

TEST(ParseList, QuotesHoldCommas) {
    EXPECT_THAT(parse_list("--x", R"("a,b")"), testing::ElementsAre("a,b"));
    EXPECT_THAT(parse_list("--x", R"(c,"a,b",d)"), testing::ElementsAre("c", "a,b", "d"));
    EXPECT_THAT(parse_list("--x", R"("d""e",",")"), testing::ElementsAre("d\"e", ","));
    EXPECT_THAT(parse_list("--x", R"("""")"), testing::ElementsAre("\""));
    EXPECT_THAT(parse_list("--x", R"(d"e,f"",g)"), testing::ElementsAre("d\"e", "f\"\"", "g"))
        << "a quote inside an unquoted part is itself";
    for (const char* open : {R"("a)", R"(b,"a,c)", R"("a"")", R"("a"b)", R"(")"})
        EXPECT_THROW(parse_list("--x", open), Error) << open;
}

TEST(ParseOverrides, MayHoldCommas) {
    const auto overrides = parse_overrides("-okv", R"("a.b=str:x, y",c=int:1,"d=str:say ""z""")");
    ASSERT_EQ(overrides.size(), 3u);
    EXPECT_EQ(std::get<std::string>(overrides[0].second.data), "x, y");
    EXPECT_EQ(std::get<std::int64_t>(overrides[1].second.data), 1);
    EXPECT_EQ(std::get<std::string>(overrides[2].second.data), "say \"z\"");
    EXPECT_THROW(parse_overrides("-okv", "a.b=str:x, y"), Error);
}

TEST(ParseWeights, AreWhole1024ths) {
    using documents::Role;
    const documents::RoleWeights weights = parse_weights("--weights", "assistant=2,user=0.25,tool=0.0004");
    EXPECT_THAT(weights.of, testing::ElementsAre(1024, 1024, 256, 2048, 0, 1024));
    EXPECT_TRUE(parse_weights("--weights", "text=1").all_one());
    EXPECT_EQ(parse_weights("--weights", "template=1024").of[index_of(Role::Template)], 1 << 20);
    for (const char* wrong :
         {"", "user", "user=", "user=x", "user=-1", "user=1025", "reader=1", "=1", "user=nan"})
        EXPECT_THROW(parse_weights("--weights", wrong), Error) << wrong;
}

TEST(ParseDate, TakesDaysThatThereAre) {
    EXPECT_EQ(parse_date("--template-date", "2028-02-29"), "2028-02-29T00:00:00");
    for (const char* wrong : {"", "2026-02-29", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-00",
                              "2026/01/01", "2026-01-0x", "2026-01-011"})
        EXPECT_THROW(parse_date("--template-date", wrong), Error) << wrong;
}

TEST(Unescape, ReplacesWhatItKnowsAndKeepsTheRest) {
    EXPECT_EQ(unescape(R"(a\nb\tc\r\'\"\\n)"), "a\nb\tc\r'\"\\n");
    EXPECT_EQ(unescape(R"(\x41\x4a\xZZ\x4)"), "AJ\\xZZ\\x4");
    EXPECT_EQ(unescape(R"(\q\)"), "\\q\\");
    EXPECT_EQ(unescape(R"(\x00)"), std::string(1, '\0'));
}

}  // namespace
}  // namespace assay::cli
