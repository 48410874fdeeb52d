// What a wave needs while it runs: hidden states, workspace of a group of chunks, the loader. Private to the
// engine.
#pragma once

#include <algorithm>

#include "core/error.h"
#include "engine/loader.h"
#include "engine/pass.h"
#include "engine/similarity.h"
#include "engine/spilled_rows.h"

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

/// Memory seen as rows, all of them side by side.
struct Rows2d {
    backend::BufferPtr memory;
    backend::View view;

    static Rows2d of(backend::BufferPtr memory, std::int64_t rows, std::int64_t cols, backend::DType type) {
        const backend::View view{memory->data(), type, rows, cols, cols};
        return {std::move(memory), view};
    }
    static Rows2d allocate(backend::Backend& backend, std::int64_t rows, std::int64_t cols,
                           backend::DType type) {
        if (cols == 0) return {};
        return of(backend.allocate(static_cast<std::size_t>(rows * cols * backend::size_of(type))), rows,
                  cols, type);
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
    /// reader, turns: as for Pass::run().
    State(Pass& pass, const Wave& wave_, ActivationSink& sink, std::vector<Job> jobs,
          std::unique_ptr<StreamReader> reader, Turns* turns = nullptr);

    std::vector<Group> groups(std::int64_t group_chunks) const;
    /// The next tokens of the scored positions, chunk after chunk.
    std::vector<std::int32_t> scored_targets() const;

    /// The next unit, which must be a T.
    template <typename T> std::shared_ptr<const T> take() {
        const std::shared_ptr<const Unit> unit = loader.take();
        return {unit, &std::get<T>(*unit)};
    }
    /// The router's output, as wide as this layer has experts.
    backend::View logits(const model::ExpertFfn& ffn) const {
        backend::View view = router_logits.view;
        view.cols = view.stride = ffn.n_experts;
        return view;
    }
    /// Room for all rows of the wave, spilled when asked.
    Rows2d of_wave(std::int64_t rows, std::int64_t cols, backend::DType type);
    /// Before and after a group goes through half a layer: its rows are wanted, and the next group's soon.
    void begin(const Group& group) const;
    void end(const Group& group) const;
    void compare(Similarity kind, std::int64_t layer, const Group& group, backend::View a, backend::View b) {
        compare_rows(backend, delivery, kind, layer, group.chunks, n_ctx, a, b);
    }

    backend::Backend& backend;
    const Wave& wave;
    const std::int64_t n_ctx;
    const std::int64_t n_rows;
    Delivery delivery;
    Observation observation;
    const std::filesystem::path spill_folder;
    std::vector<const SpilledRows*> spilled;  ///< of the members below

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
