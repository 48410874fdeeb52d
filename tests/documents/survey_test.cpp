#include "documents/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::documents {
namespace {

Document of_length(std::size_t n, Role role = Role::User) {
    Document document;
    document.ids.resize(n);
    document.roles.resize(n, role);
    document.scripts.resize(n, Script::Latin);
    return document;
}

TEST(Survey, CountsLengthsAndRoles) {
    std::vector<Document> documents;
    for (std::size_t n = 1; n <= 10; ++n)
        documents.push_back(of_length(n, n == 10 ? Role::Tool : Role::User));
    const Survey seen = survey(documents);
    EXPECT_EQ(seen.tokens, 55);
    EXPECT_EQ(seen.shortest, 1);
    EXPECT_EQ(seen.median, 5);
    EXPECT_EQ(seen.nine_tenths, 9);
    EXPECT_EQ(seen.longest, 10);
    EXPECT_THAT(seen.histogram, testing::ElementsAre(1, 2, 4, 3));  // 1, 2-3, 4-7, 8-15
    EXPECT_EQ(seen.by_role[index_of(Role::User)], 45);
    EXPECT_EQ(seen.by_role[index_of(Role::Tool)], 10);
    EXPECT_EQ(seen.by_script[static_cast<std::size_t>(Script::Latin)], 55);
}

TEST(Survey, OfOneAndOfNothing) {
    const Survey one = survey(std::vector{of_length(7)});
    EXPECT_EQ(one.shortest, 7);
    EXPECT_EQ(one.median, 7);
    EXPECT_EQ(one.longest, 7);
    EXPECT_EQ(survey({}).tokens, 0);
}

}  // namespace
}  // namespace assay::documents
