// The writing half of saved_state.h.
#include <fmt/format.h>

#include "calibrate/extra.h"
#include "calibrate/saved_state.h"

namespace assay::calibrate {

namespace {

gguf::Value integer(std::int64_t value) { return {gguf::ValueType::I64, gguf::ValueType::I64, value}; }
gguf::Value integers(gguf::Integers values) {
    return {gguf::ValueType::Array, gguf::ValueType::I64, std::move(values)};
}

void add_identity(gguf::Writer& writer, const Identity& identity) {
    gguf::Strings names, values;
    for (const IdentityItem& item : identity) {
        names.push_back(item.name);
        values.push_back(item.value);
    }
    writer.add("general.type", gguf::text(kStateType));
    writer.add("state.identity.names", gguf::texts(std::move(names)));
    writer.add("state.identity.values", gguf::texts(std::move(values)));
}

/// Entries of sums with the weights that have them. Borrowed until the writer has written.
class EntryGroup {
  public:
    EntryGroup(gguf::Writer& writer, std::string name) : writer_(writer), name_(std::move(name)) {}

    void add(const std::vector<std::string>& weights, const imatrix::Entry& entry) {
        const std::string prefix = fmt::format("{}.{}", name_, widths_.size());
        weights_.insert(weights_.end(), weights.begin(), weights.end());
        n_weights_.push_back(std::ssize(weights));
        widths_.push_back(static_cast<std::int64_t>(entry.width));
        tensor(prefix + ".squares", quant::TypeId::F64, std::span(entry.sum_sq));
        tensor(prefix + ".squares_low", quant::TypeId::F32, std::span(entry.sum_sq_low));
        tensor(prefix + ".plain", quant::TypeId::F64, std::span(entry.sum));
        tensor(prefix + ".plain_low", quant::TypeId::F32, std::span(entry.sum_low));
        tensor(prefix + ".counts", quant::TypeId::F64, std::span(entry.counts));
    }
    void end() {
        const std::string prefix = "state." + name_;
        writer_.add(prefix + ".weights", gguf::texts(std::move(weights_)));
        writer_.add(prefix + ".n_weights", integers(std::move(n_weights_)));
        writer_.add(prefix + ".widths", integers(std::move(widths_)));
    }

  private:
    template <typename T>
    void tensor(const std::string& name, quant::TypeId type, std::span<const T> values) {
        if (!values.empty()) writer_.add_tensor(name, {values.size()}, type, std::as_bytes(values));
    }

    gguf::Writer& writer_;
    const std::string name_;
    gguf::Strings weights_;
    gguf::Integers n_weights_, widths_;
};

/// Losses and similarity, as a matrix file has them but with `prefix` before their keys.
void add_numbers(gguf::Writer& writer, const std::string& prefix, const Collected& collected) {
    gguf::Metadata keys;
    store_losses(collected, keys);
    store_similarity(collected.similarity, keys, true);
    for (const auto& [key, value] : keys.values()) writer.add(prefix + key, value);
}

void add_committed(gguf::Writer& writer, const CollectorState& sums) {
    const imatrix::Matrix& matrix = sums.committed.matrix;
    writer.add("state.skipped",
               {gguf::ValueType::Array, gguf::ValueType::I64, gguf::Integers(sums.committed.skipped)});
    writer.add("imatrix.datasets", gguf::texts(matrix.datasets));
    writer.add("imatrix.chunk_count", integer(matrix.chunk_count));
    writer.add("imatrix.chunk_size", integer(matrix.chunk_size));
    writer.add("imatrix.n_layer_nextn", integer(matrix.n_layer_nextn));
    for (const auto& [key, value] : matrix.extra.values()) writer.add(key, value);
    EntryGroup committed(writer, "committed");
    for (const auto& [name, entry] : matrix.entries) committed.add({name}, entry);
    committed.end();
    add_numbers(writer, "state.", sums.committed);
}

void add_wave(gguf::Writer& writer, const StateContent& content) {
    EntryGroup touched(writer, "touched");
    for (const WaveSums& sums : content.sums.touched) touched.add(sums.weights, sums.entry);
    touched.end();
    Collected wave;  // losses come when all stages are done
    wave.similarity = content.sums.wave_similarity;
    add_numbers(writer, "wave.", wave);
    std::int64_t rows = 0;
    for (const engine::WavePart& part : content.parts) rows += part.n_rows;
    for (const std::int32_t slot :
         content.plan.live_slots(static_cast<std::size_t>(content.head.position.stage))) {
        const plan::Slot& shape = content.plan.slots()[static_cast<std::size_t>(slot)];
        writer.add_tensor(fmt::format("slot.{}", slot),
                          {static_cast<std::uint64_t>(shape.cols), static_cast<std::uint64_t>(rows)},
                          shape.type == backend::DType::F32 ? quant::TypeId::F32 : quant::TypeId::BF16,
                          [slot, parts = content.parts](const gguf::Writer::Out& out) {
                              for (const engine::WavePart& part : parts) part.rows(slot, out);
                          });
    }
}

}  // namespace

std::unique_ptr<NewFile> begin_state(const std::filesystem::path& path, const StateContent& content) {
    const StateHead& head = content.head;
    gguf::Writer writer;
    add_identity(writer, content.identity);
    writer.add("state.sequence", integer(head.sequence));
    writer.add("state.chunks_done", integer(head.position.chunks_done));
    writer.add("state.chunks_before", integer(head.chunks_before));
    writer.add("state.wave_chunks", integer(head.position.wave_chunks));
    writer.add("state.stage", integer(head.position.stage));
    add_committed(writer, content.sums);
    if (head.position.wave_chunks > 0) add_wave(writer, content);
    return begin_sealed(path, writer);
}

void write_record(const std::filesystem::path& path, const Record& record) {
    gguf::Writer writer;
    add_identity(writer, record.identity);
    writer.add("state.output", integer(static_cast<std::int64_t>(record.output)));
    writer.add("state.chunks_done", integer(record.n_chunks));
    begin_sealed(path, writer)->commit();
}

}  // namespace assay::calibrate
