// A process that may have only a few descriptors, as under `ulimit -n`.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace assay::test {

/// While it lives, the process may have descriptors 0 to n - 1 only.
class FewDescriptors {
  public:
    explicit FewDescriptors(rlim_t n) {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const rlimit few{n, before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    }
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;

  private:
    rlimit before_{};
};

}  // namespace assay::test
