#include "plan/pieces.h"

#include <algorithm>

#include "model/visit.h"

namespace assay::plan {

namespace {

/// Prepared experts that wait for the ones in use.
constexpr std::uint64_t kExpertBatchBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kVocabularyPanelBytes = std::uint64_t{64} << 20;

/// Lists the pieces of a program in the order of use.
class Pieces {
  public:
    Pieces(const gguf::File& file, std::int64_t operand_bytes) : file_(file), operand_bytes_(operand_bytes) {}

    void add_stage(std::size_t index, const model::Stage& stage) {
        if (const model::Experts* experts = stage.experts()) return add_experts(index, *experts);
        Piece piece{index, 0, 0, {}, 0};
        bool needed = false;
        for (const model::Step& step : stage.steps) {
            for (const model::Linear* linear : model::linears(step.operation))
                add(piece, linear->weight, 0, linear->weight.n_matrices * linear->weight.n_out);
            for (const model::Vector* vector : model::vectors(step.operation))
                needed = needed || vector->present();
        }
        if (needed || !piece.reads.empty()) pieces.push_back(std::move(piece));
    }

    void add_vocabulary(std::size_t index, const model::Weight& weight) {
        const auto row = static_cast<std::uint64_t>(weight.n_in * operand_bytes_);
        constexpr std::uint64_t kStep = 512;
        const auto panel =
            static_cast<std::int64_t>(std::max(kStep, kVocabularyPanelBytes / row / kStep * kStep));
        for (std::int64_t first = 0; first < weight.n_out; first += panel) {
            Piece piece{index, first, std::min(panel, weight.n_out - first), {}, 0};
            add(piece, weight, first, piece.count);
            pieces.push_back(std::move(piece));
        }
    }

    std::vector<Piece> pieces{};

  private:
    void add_experts(std::size_t index, const model::Experts& experts) {
        std::uint64_t each = 0;
        const model::Linear* const all[] = {&experts.gate, &experts.up, &experts.down};
        for (const model::Linear* linear : all)
            each += static_cast<std::uint64_t>(linear->weight.n_in * linear->weight.n_out * operand_bytes_);
        const std::int64_t n = experts.router.n_experts;
        const std::int64_t batch =
            std::clamp<std::int64_t>(static_cast<std::int64_t>(kExpertBatchBytes / each), 1, n);
        for (std::int64_t first = 0; first < n; first += batch) {
            Piece piece{index, first, std::min(batch, n - first), {}, 0};
            for (const model::Linear* linear : all)
                if (linear->present())
                    add(piece, linear->weight, first * linear->weight.n_out,
                        piece.count * linear->weight.n_out);
            pieces.push_back(std::move(piece));
        }
    }

    void add(Piece& piece, const model::Weight& weight, std::int64_t first_row, std::int64_t n_rows) const {
        const gguf::Tensor& tensor = file_.get(weight.name);
        piece.reads.push_back({&tensor, static_cast<std::uint64_t>(first_row) * tensor.row_bytes(),
                               static_cast<std::uint64_t>(n_rows) * tensor.row_bytes()});
        piece.prepared_bytes += static_cast<std::uint64_t>(weight.n_in * n_rows * operand_bytes_);
    }

    const gguf::File& file_;
    const std::int64_t operand_bytes_;
};

}  // namespace

std::vector<Piece> list_pieces(const gguf::File& file, const std::vector<StagePlan>& stages,
                               const std::vector<const model::Output*>& projections,
                               std::int64_t operand_bytes) {
    Pieces pieces(file, operand_bytes);
    for (std::size_t s = 0; s < stages.size(); ++s) pieces.add_stage(s, *stages[s].stage);
    for (std::size_t p = 0; p < projections.size(); ++p)
        pieces.add_vocabulary(stages.size() + p, projections[p]->linear.weight);
    return std::move(pieces.pieces);
}

}  // namespace assay::plan
