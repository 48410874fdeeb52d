// A fixture and the plan of its pass, for tests of what needs a plan. Header only: who includes it links the
// rooms.
#pragma once

#include <memory>
#include <string>

#include "backend/open.h"
#include "model/registry.h"
#include "plan/plan.h"
#include "support/fixture.h"

namespace assay::test {

/// Chunks of 64 tokens, f32 on one core.
struct Planned {
    static constexpr std::int64_t kChunkTokens = 64;

    explicit Planned(const std::string& name, bool losses = true)
        : fixture(name),
          plan(file, program, *backend, {.n_ctx = kChunkTokens, .observed_output = {}, .losses = losses}) {}

    test::Fixture fixture;
    gguf::File file = gguf::File::open(fixture.model());
    model::Program program = model::build(file, {kChunkTokens});
    ThreadPool pool{1};
    std::unique_ptr<backend::Backend> backend =
        backend::open({"cpu", backend::Precision::F32, {}, kChunkTokens}, pool);
    plan::PassPlan plan;
};

}  // namespace assay::test
