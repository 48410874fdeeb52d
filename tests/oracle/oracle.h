// An interpreter of programs in double: the reference for what no other program's results cover. Plain loops,
// one chunk at a time, every value kept whole; no backend, no plan.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "gguf/file.h"
#include "model/program.h"
#include "oracle/functions.h"
#include "oracle/table.h"
#include "oracle/tensors.h"
#include "support/compare.h"

namespace assay::oracle {

class Oracle {
  public:
    /// Both are borrowed.
    Oracle(const model::Program& program, const gguf::File& file);

    /// Adds one chunk: tokens that the model sees, and the text's own, which it is to predict. The second
    /// half of the positions is scored, the last apart.
    void run(std::span<const std::int32_t> tokens, std::span<const std::int32_t> targets);

    /// Sums of squares and rows of every product's input, the output projection's too, by weight.
    const test::Matrix& matrix() const noexcept { return matrix_; }
    /// The least margin of any row's choice of experts.
    double least_margin() const noexcept { return least_margin_; }
    /// After chunk 1, 2, ...
    const std::vector<double>& running_perplexity() const noexcept { return running_perplexity_; }
    /// After all chunks, of a block that predicts ahead.
    double nextn_perplexity(std::size_t block) const {
        return std::exp(loss_.at(block + 1) / static_cast<double>(n_scored_));
    }

  private:
    void run(const model::Stage& stage);
    Table result(const model::Step& step);

    std::int64_t table_row(const model::Lookup& op, std::int64_t position) const;
    Table lookup(const model::Lookup& op, std::int64_t cols) const;
    Table product(const model::Product& op, const model::Value& out);
    Table gated_product(const model::GatedProduct& op);
    Table scan(const model::Scan& op) const;
    Table chain(const model::Chain& op) const;
    Table mixed(const model::Mix& op, const model::Value& out) const;
    Table experts(const model::Experts& op, const model::Value& out);
    /// A row that an expert sees.
    struct Visit {
        std::int64_t row = 0;
        double weight = 0;
    };
    /// By expert.
    std::vector<std::vector<Visit>> visits(const model::Experts& op);
    /// One expert's answers to rows x, before they are weighted.
    Table expert(const model::Experts& op, std::int64_t expert, const Table& x);

    /// Rows x enter a product with matrix `matrix` of `n_matrices` that are counted apart.
    void observe(const model::Linear& linear, const Table& x, std::int64_t matrix = 0,
                 std::int64_t n_matrices = 1);
    void run_nextn(const model::NextN& block, std::span<const std::int32_t> targets);
    /// Of the scored tokens, by rows that begin at token `ahead`: the sum of the losses.
    double score(const model::Value& final, const model::Output& output, std::int64_t ahead,
                 std::span<const std::int32_t> targets) const;

    Table get(const model::Value& value) const;
    void put(const model::Value& value, const Table& from);

    const model::Program& program_;
    Tensors tensors_;
    std::span<const std::int32_t> tokens_;
    std::vector<Table> values_;  ///< by Value::id
    test::Matrix matrix_;
    std::vector<double> running_perplexity_;
    double least_margin_ = std::numeric_limits<double>::infinity();
    std::vector<double> loss_;  ///< of the trunk and of each block behind it
    std::int64_t n_scored_ = 0;
};

}  // namespace assay::oracle
