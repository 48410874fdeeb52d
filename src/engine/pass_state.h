// What a wave needs while it runs: hidden states, workspace of a group of chunks, the loader. Private to the
// engine.
#pragma once

#include <algorithm>

#include "core/error.h"
#include "engine/loader.h"
#include "engine/pass.h"
#include "engine/similarity.h"

namespace assay::engine {

/// Widths of the widest layer, in elements a row.
struct Pass::Sizes {
    std::int64_t qkv = 0;
    std::int64_t attention_out = 0;
    std::int64_t ffn = 0;      ///< of dense layers
    std::int64_t experts = 0;  ///< most experts of a layer
    bool post_norms = false;
    std::int64_t group_chunks = 1;  ///< chunks that go through a layer together

    static Sizes of(const model::ModelSpec& spec, const backend::Backend& backend, std::int64_t n_ctx);
};

/// Backend memory seen as rows.
struct Rows2d {
    backend::BufferPtr memory;
    backend::View view;

    static Rows2d allocate(backend::Backend& backend, std::int64_t rows, std::int64_t cols,
                           backend::DType type) {
        Rows2d result;
        if (cols == 0) return result;
        result.memory = backend.allocate(static_cast<std::size_t>(rows * cols * backend::size_of(type)));
        result.view = {result.memory->data(), type, rows, cols, cols};
        return result;
    }
};

/// A run of whole chunks that goes through a layer together.
struct Pass::Group {
    std::int64_t first_row = 0;
    backend::Rows rows;
    ChunkRange chunks;  ///< of the run

    backend::View of(const backend::View& wave_view) const {
        return wave_view.present() ? wave_view.row_range(first_row, rows.count()) : backend::View{};
    }
    /// The first rows of a workspace view.
    backend::View head(const backend::View& workspace) const {
        return workspace.present() ? workspace.row_range(0, rows.count()) : backend::View{};
    }
};

class Pass::State {
  public:
    State(const Pass& pass, const Wave& wave_, ActivationSink& sink_, std::vector<Job> jobs);

    std::vector<Group> groups(std::int64_t group_chunks) const;
    /// The next tokens of the scored positions, chunk after chunk.
    std::vector<std::int32_t> scored_targets() const;

    /// The next unit, which must be a T.
    template <typename T> T take() { return std::get<T>(loader.take()); }
    /// The router's output, as wide as this layer has experts.
    backend::View logits(const model::ExpertFfn& ffn) const {
        backend::View view = router_logits.view;
        view.cols = view.stride = ffn.n_experts;
        return view;
    }
    void compare(Similarity kind, std::int64_t layer, const Group& group, backend::View a, backend::View b) {
        compare_rows(backend, sink, kind, layer, group.chunks, n_ctx, a, b);
    }

    backend::Backend& backend;
    const Wave& wave;
    ActivationSink& sink;
    const std::int64_t n_ctx;
    const std::int64_t n_rows;
    Observation observation;

    // Of the whole wave.
    Rows2d hidden;     ///< [rows, hidden] f32, the residual stream
    Rows2d ffn_input;  ///< [rows, hidden] f32, normed, where experts gather from it or similarity compares it
    Rows2d router_logits;   ///< [rows, experts] f32
    Rows2d layer_input;     ///< similarity: normed input of this layer ...
    Rows2d previous_input;  ///< ... and of the one before
    Rows2d before;          ///< similarity: residual stream before the layer ...
    Rows2d middle;          ///< ... and between its branches

    // Of one group.
    Rows2d operand;        ///< [rows, hidden] input of qkv or ffn products
    Rows2d qkv;            ///< [rows, q + k + v] activations
    Rows2d attention_out;  ///< [rows, heads * value_dim] operand
    Rows2d ffn_operand;    ///< [rows, ffn] operand
    Rows2d branch;         ///< [rows, hidden] f32 branch output before its norm

    Loader loader;
};

}  // namespace assay::engine
