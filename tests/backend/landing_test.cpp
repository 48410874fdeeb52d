// Results that arrive on the host while operations go on.
#include <cstring>
#include <future>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using LandingTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, LandingTest, testing::ValuesIn(all_cases()), name_of);

std::vector<double> received(Landing& landing) {
    // From another thread, as the engine does.
    return std::async(std::launch::async,
                      [&landing] {
                          const std::span<const std::byte> bytes = landing.wait();
                          std::vector<double> values(bytes.size() / sizeof(double));
                          std::memcpy(values.data(), bytes.data(), bytes.size());
                          return values;
                      })
        .get();
}

TEST_P(LandingTest, EachShowsWhatWasThereWhenItStarted) {
    constexpr std::int64_t kRows = 64;
    constexpr std::size_t kBytes = 3 * kRows * sizeof(double);
    std::vector<Stored> inputs;
    std::vector<BufferPtr> results;
    std::vector<LandingPtr> landings;
    for (int i = 0; i < 8; ++i) {
        inputs.push_back(store(random(kRows, 2048, DType::F32), DType::F32));
        results.push_back(backend().allocate(kBytes));
        landings.push_back(backend().make_landing(kBytes));
    }
    for (int round = 0; round < 2; ++round) {
        for (std::size_t i = 0; i < results.size(); ++i) {
            const View& other = inputs[(i + static_cast<std::size_t>(round) + 1) % inputs.size()].view;
            backend().row_products(inputs[i].view, other, reinterpret_cast<double*>(results[i]->data()));
            landings[i]->start(results[i]->data(), kBytes);
        }
        for (std::size_t i = 0; i < results.size(); ++i) {
            std::vector<double> downloaded(3 * kRows);
            backend().download(results[i]->data(), std::as_writable_bytes(std::span(downloaded)));
            EXPECT_GT(downloaded.front(), 0);
            EXPECT_EQ(received(*landings[i]), downloaded);
        }
    }
}

TEST_P(LandingTest, MayGoWhileACopyIsUnderWay) {
    const Stored input = store(random(64, 2048, DType::F32), DType::F32);
    for (int i = 0; i < 20; ++i) {
        const BufferPtr result = backend().allocate(3 * 64 * sizeof(double));
        const LandingPtr landing = backend().make_landing(result->size_bytes());
        backend().row_products(input.view, input.view, reinterpret_cast<double*>(result->data()));
        landing->start(result->data(), result->size_bytes());
    }
    backend().synchronize();
}

}  // namespace
}  // namespace assay::backend
