#include <deque>
#include <mutex>
#include <vector>

#include "backend/open.h"
#include "core/error.h"
#include "engine/pass.h"
#include "fuzz/support.h"
#include "model/print.h"
#include "model/registry.h"

namespace assay::fuzz {

namespace {

constexpr std::int64_t kContext = 16;
constexpr std::size_t kDataBytes = std::size_t{16} << 20;

/// Keeps totals of exactly the size that was asked for.
class Totals final : public engine::ActivationSink {
  public:
    backend::Totals on_input(const engine::InputSums& sums) override {
        const std::size_t columns = sums.counts.size() / static_cast<std::size_t>(sums.chunks.count) *
                                    static_cast<std::size_t>(sums.width);
        const std::lock_guard lock(mutex_);
        Kept& kept = kept_.emplace_back();
        for (std::vector<double>& high : kept.high) high.resize(columns);
        for (std::vector<float>& low : kept.low) low.resize(columns);
        return {{kept.high[0], kept.low[0]}, {kept.high[1], kept.low[1]}};
    }
    void on_similarity(const engine::SimilaritySums&) override {}
    void on_losses(const engine::ChunkLosses& losses) override {
        expect(losses.losses.size() <= static_cast<std::size_t>(kContext), "a loss belongs to a token");
    }

  private:
    struct Kept {
        std::vector<double> high[2];
        std::vector<float> low[2];
    };
    std::mutex mutex_;
    std::deque<Kept> kept_;
};

backend::Backend& cpu() {
    static ThreadPool pool(1);
    static const auto backend = backend::open({"cpu", backend::Precision::F32, {}, kContext}, pool);
    return *backend;
}

void check_data(const gguf::File& file) {
    for (const gguf::Tensor& tensor : file.tensors()) {
        const Bytes bytes = file.data(tensor);
        expect(!bytes.empty() && bytes.size() == tensor.size_bytes &&
                   tensor.rows() * tensor.row_bytes() == tensor.size_bytes,
               "a tensor has the bytes of its rows");
        (void)*static_cast<const volatile std::byte*>(&bytes.front());
        (void)*static_cast<const volatile std::byte*>(&bytes.back());
    }
}

void run_chunk(const plan::PassPlan& plan) {
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < kContext; ++i)
        tokens.push_back(static_cast<std::int32_t>(i * 97 % plan.program().n_vocab));
    engine::Pass pass(plan, cpu(), {});
    Totals sink;
    const std::int64_t starts[] = {0, kContext};
    pass.run({0, starts, tokens, tokens}, sink, [](std::int64_t) {});
}

}  // namespace

Verdict examine_model_file(const std::filesystem::path& path, bool run) {
    try {
        const gguf::File file = gguf::File::open(path);
        check_data(file);
        const model::Program program = model::build(file, {kContext});
        expect(!model::to_text(program).empty(), "a program has steps");
        plan::PassOptions options;
        options.n_ctx = kContext;
        options.observed_output = program.output.linear.weight.name;
        options.similarity = true;
        const plan::PassPlan pass_plan(file, program, cpu(), options);
        expect(!pass_plan.pieces().empty() && pass_plan.read_bytes_per_wave() > 0, "a model has weights");
        if (!run) return Verdict::Taken;
        try {
            run_chunk(pass_plan);
        } catch (const Error& error) {
            expect(error.kind() != ErrorKind::Internal, error.what());
        }
        return Verdict::Ran;
    } catch (const Error& error) {
        expect(error.kind() != ErrorKind::Internal, error.what());
        return Verdict::Refused;
    }
}

void examine_model(Bytes bytes) {
    const MemoryFile memory(bytes, kDataBytes);
    (void)examine_model_file(memory.path(), false);
}

}  // namespace assay::fuzz
