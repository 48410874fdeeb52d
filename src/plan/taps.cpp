// Similarity reads a layer from outside: what enters its first product and its first feed-forward product,
// and the residual stream before, between and after.
#include <algorithm>

#include "model/visit.h"
#include "plan/walk.h"

namespace assay::plan {

namespace {

class Taps {
  public:
    Taps(const model::Program& program, std::vector<StagePlan>& stages, std::vector<model::ValueInfo>& values)
        : program_(program), stages_(stages), values_(values) {}

    void run() {
        for (const model::Layer& layer : program_.layers) {
            const std::size_t first = first_stage(layer.index);
            close_layer(layer.index - 1, first);
            open_layer(layer, first);
        }
        const std::size_t head = first_stage(last() + 1);
        close_layer(last(), head);
        const model::Value final = program_.final;
        insert_after_writing(head, final, comparisons(last(), final));
    }

  private:
    std::int64_t last() const { return static_cast<std::int64_t>(program_.layers.size()) - 1; }
    std::size_t first_stage(std::int64_t layer) const {
        const auto found = std::ranges::find(stages_, layer, &StagePlan::layer);
        return static_cast<std::size_t>(found - stages_.begin());
    }
    model::Value new_value(const model::Value& like) {
        values_.push_back({"copy", like.cols});
        return {static_cast<std::int32_t>(values_.size()) - 1, 0, like.cols};
    }
    bool changes(const model::Value& value) const {
        const auto updated = [&](const model::Stage& stage) {
            return std::ranges::any_of(stage.steps, [&](const model::Step& step) {
                return step.out.id == value.id && model::updates(step.operation);
            });
        };
        return std::ranges::any_of(stages_, [&](const StagePlan& stage) { return updated(*stage.stage); });
    }
    static Instruction copy(const model::Value& from, const model::Value& to) {
        return {.kind = Instruction::Kind::Observe, .x = from, .y = to, .plain = true};
    }
    static Instruction compare(SimilarityKind kind, std::int64_t layer, const model::Value& a,
                               const model::Value& b) {
        return {.kind = Instruction::Kind::Compare, .x = a, .y = b, .similarity = kind, .layer = layer};
    }

    /// What is known of layer `layer` once the input of the next one is.
    std::vector<Instruction> comparisons(std::int64_t layer, const model::Value& next) const {
        std::vector<Instruction> found;
        if (layer < 0) return found;
        if (input_.present()) found.push_back(compare(SimilarityKind::Layer, layer, input_, next));
        if (ffn_input_.present()) found.push_back(compare(SimilarityKind::Ffn, layer, ffn_input_, next));
        return found;
    }

    /// The last stage of a layer may be one of experts, so its end is told where the next one begins.
    void close_layer(std::int64_t layer, std::size_t stage) {
        if (layer < 0) return;
        const model::Value residual = program_.layers[static_cast<std::size_t>(layer)].left;
        std::vector<Instruction> end;
        if (middle_.present()) end.push_back(compare(SimilarityKind::ResidualFfn, layer, middle_, residual));
        end.push_back(compare(SimilarityKind::Residual, layer, before_, residual));
        insert(stage, 0, end);
    }

    void open_layer(const model::Layer& layer, std::size_t first) {
        before_ = new_value(layer.residual);
        insert(first, closing(first), {copy(layer.residual, before_)});
        tap_input(layer, first);
        tap_ffn(layer, first);
    }

    /// Comparisons that begin a stage.
    std::size_t closing(std::size_t stage) const {
        const auto& all = stages_[stage].instructions;
        const auto found = std::ranges::find_if(
            all, [](const Instruction& i) { return i.kind != Instruction::Kind::Compare; });
        return static_cast<std::size_t>(found - all.begin());
    }

    void tap_input(const model::Layer& layer, std::size_t first) {
        if (!layer.input.present()) {
            input_ = {};
            return;
        }
        const bool copied = changes(layer.input);
        const model::Value input = copied ? new_value(layer.input) : layer.input;
        std::vector<Instruction> tap = comparisons(layer.index - 1, input);
        if (copied) tap.insert(tap.begin(), copy(layer.input, input));
        insert_before_taking(first, layer.input, tap);
        input_ = input;
    }

    void tap_ffn(const model::Layer& layer, std::size_t first) {
        ffn_input_ = middle_ = {};
        if (!layer.ffn_input.present()) return;
        const bool copied = changes(layer.ffn_input);
        ffn_input_ = copied ? new_value(layer.ffn_input) : layer.ffn_input;
        middle_ = new_value(layer.residual);
        std::vector<Instruction> tap{
            compare(SimilarityKind::ResidualAttention, layer.index, before_, layer.residual),
            copy(layer.residual, middle_),
            compare(SimilarityKind::Attention, layer.index, ffn_input_, input_)};
        if (copied) tap.insert(tap.begin(), copy(layer.ffn_input, ffn_input_));
        if (!input_.present()) tap.pop_back();
        // Its product may be in a later stage of the layer than the first.
        for (std::size_t s = first; s < stages_.size() && stages_[s].layer == layer.index; ++s)
            if (insert_before_taking(s, layer.ffn_input, tap, true)) return;
        ffn_input_ = middle_ = {};
    }

    void insert(std::size_t stage, std::size_t at, const std::vector<Instruction>& added) {
        auto& all = stages_[stage].instructions;
        all.insert(all.begin() + static_cast<std::ptrdiff_t>(at), added.begin(), added.end());
    }

    /// Before the first step (or the last: the feed-forward's) of the stage whose product takes the value.
    bool insert_before_taking(std::size_t stage, const model::Value& value,
                              const std::vector<Instruction>& added, bool last_use = false) {
        const auto& all = stages_[stage].instructions;
        std::size_t at = all.size();
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (all[i].kind != Instruction::Kind::Step) continue;
            const model::ObservedInput input =
                model::observed_input(stages_[stage].stage->steps[all[i].step].operation);
            if (!input.x.present() || input.x.id != value.id) continue;
            at = i;
            if (!last_use) break;
        }
        if (at == all.size()) return false;
        insert(stage, at, added);
        return true;
    }

    void insert_after_writing(std::size_t stage, const model::Value& value,
                              const std::vector<Instruction>& added) {
        const auto& steps = stages_[stage].stage->steps;
        const auto& all = stages_[stage].instructions;
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].kind == Instruction::Kind::Step && steps[all[i].step].out.id == value.id)
                return insert(stage, i + 1, added);
    }

    const model::Program& program_;
    std::vector<StagePlan>& stages_;
    std::vector<model::ValueInfo>& values_;
    // Of the current layer, and of the one before until its end is told.
    model::Value input_{}, ffn_input_{}, before_{}, middle_{};
};

}  // namespace

void add_taps(const model::Program& program, std::vector<StagePlan>& stages,
              std::vector<model::ValueInfo>& values) {
    Taps(program, stages, values).run();
}

}  // namespace assay::plan
