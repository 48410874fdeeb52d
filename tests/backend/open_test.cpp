// Which words open a backend.
#include "backend/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cuda_backend.h"
#include "core/error.h"

namespace assay::backend {
namespace {

ErrorKind refusal(const std::string& device) {
    ThreadPool pool(1);
    OpenOptions options;
    options.device = device;
    try {
        open(options, pool);
    } catch (const Error& error) {
        return error.kind();
    }
    ADD_FAILURE() << device << " was opened";
    return ErrorKind::Internal;
}

TEST(OpenTest, RefusesUnknownDevices) {
    for (const char* word : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda1", "cuda:1x", "cuda:99999999999"})
        EXPECT_EQ(refusal(word), ErrorKind::Usage) << word;
}

TEST(OpenTest, SaysWhyThereIsNoCudaDevice) {
    EXPECT_EQ(refusal("cuda:1000"), ErrorKind::Device);
    if (cuda_devices().empty()) {
        EXPECT_EQ(refusal("cuda"), ErrorKind::Device);
    }
}

TEST(ListDevices, KeepsTheOrderAndTheNumber) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(list_devices("cpu,cpu"), (Names{"cpu", "cpu"}));
    EXPECT_EQ(list_devices("cuda:3,cuda:1,cuda:3"), (Names{"cuda:3", "cuda:1"}));
    EXPECT_EQ(list_devices("cuda:3,cuda:1", 1), (Names{"cuda:1"}));
    const std::size_t found = cuda_devices().size();
    EXPECT_EQ(list_devices("cuda").size(), std::max<std::size_t>(found, 1));
    EXPECT_EQ(list_devices("auto").front(), found > 0 ? "cuda:0" : "cpu");
}

TEST(ListDevices, RefusesWhatCannotShareARun) {
    for (const char* list : {"cpu,cuda:0", "cuda:0,cpu", "cpu,", ",cpu", "cpu,gpu"})
        EXPECT_THROW(list_devices(list), Error) << list;
    EXPECT_THROW(list_devices("cuda:0,cuda:1", 2), Error);
    EXPECT_THROW(list_devices("cuda:0", -1), Error);
}

TEST(OpenTest, CpuAlwaysOpens) {
    ThreadPool pool(1);
    OpenOptions options;
    options.device = "cpu";
    EXPECT_THAT(open(options, pool)->description(), testing::StartsWith("cpu"));
}

TEST(OpenTest, EveryLevelTakesBf16Operands) {
    ThreadPool pool(1);
    OpenOptions options;
    options.device = "cpu";
    // The highest first: the library stays at the first level that a process gives it.
    for (const Isa isa : {Isa::Amx, Isa::Avx512Bf16, Isa::Avx512, Isa::Avx2, Isa::Scalar}) {
        if (isa > detect_isa()) continue;
        options.isa = isa;
        options.precision = Precision::Bf16;
        EXPECT_EQ(open(options, pool)->operand_dtype(), DType::Bf16) << to_string(isa);
        options.precision = Precision::Auto;
        EXPECT_EQ(open(options, pool)->operand_dtype(), isa < Isa::Avx512Bf16 ? DType::F32 : DType::Bf16)
            << to_string(isa);
    }
}

}  // namespace
}  // namespace assay::backend
