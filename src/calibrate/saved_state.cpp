#include "calibrate/saved_state.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "calibrate/extra.h"
#include "core/error.h"

namespace assay::calibrate {

namespace {

class Reader {
  public:
    explicit Reader(const SealedFile& file) : file_(file), keys_(file.metadata()) {}

    Identity identity() const {
        if (keys_.find_string("general.type").value_or("") != kStateType) refuse("is no state of a run");
        Identity identity;
        const gguf::Strings& names = strings("state.identity.names");
        const gguf::Strings& values = strings("state.identity.values");
        if (names.size() != values.size()) refuse("has keys that do not fit together");
        for (std::size_t i = 0; i < names.size(); ++i) identity.push_back({names[i], values[i]});
        return identity;
    }

    std::int64_t count(const char* key, std::int64_t most = INT64_MAX) const {
        const std::int64_t value = keys_.get_integer(key);
        if (value < 0 || value > most)
            throw_error(ErrorKind::BadFile, keys_.where(), "{} is {}, expected a count of at most {}", key,
                        value, most);
        return value;
    }

    /// use(weights, entry)
    template <typename Use> void entries(const std::string& group, Use use) const {
        const gguf::Strings& weights = strings("state." + group + ".weights");
        const gguf::Integers& n_weights = numbers("state." + group + ".n_weights");
        const gguf::Integers& widths = numbers("state." + group + ".widths");
        if (n_weights.size() != widths.size()) refuse("has keys that do not fit together");
        std::size_t at = 0;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            if (n_weights[i] < 1 || static_cast<std::uint64_t>(n_weights[i]) > weights.size() - at)
                refuse("has fewer weights than it says");
            const auto first = weights.begin() + static_cast<std::ptrdiff_t>(at);
            use(gguf::Strings(first, first + n_weights[i]), entry(fmt::format("{}.{}", group, i), widths[i]));
            at += static_cast<std::size_t>(n_weights[i]);
        }
    }

    /// `block` as read_losses() takes it.
    std::vector<perplexity::Sums> losses(const std::string& prefix, std::size_t block) const {
        return read_losses(without(prefix), block);
    }
    std::vector<RoleLosses> role_losses(const std::string& prefix) const {
        return read_role_losses(without(prefix));
    }
    similarity::Similarity similarity(const std::string& prefix) const {
        return read_similarity(without(prefix));
    }

    [[noreturn]] void refuse(std::string_view why) const {
        throw Error(ErrorKind::BadFile, keys_.where(), why);
    }

  private:
    const gguf::Strings& strings(const std::string& key) const {
        const gguf::Strings* found = keys_.find_strings(key);
        if (found == nullptr) throw_error(ErrorKind::BadFile, keys_.where(), "has no key {}", key);
        return *found;
    }
    const gguf::Integers& numbers(const std::string& key) const {
        const gguf::Integers* found = keys_.find_integers(key);
        if (found == nullptr) throw_error(ErrorKind::BadFile, keys_.where(), "has no key {}", key);
        return *found;
    }

    imatrix::Entry entry(const std::string& prefix, std::int64_t width) const {
        imatrix::Entry entry;
        entry.width = static_cast<std::uint64_t>(width);
        read(prefix + ".squares", quant::TypeId::F64, entry.sum_sq);
        read(prefix + ".squares_low", quant::TypeId::F32, entry.sum_sq_low);
        read(prefix + ".plain", quant::TypeId::F64, entry.sum);
        read(prefix + ".plain_low", quant::TypeId::F32, entry.sum_low);
        read(prefix + ".counts", quant::TypeId::F64, entry.counts);
        const auto fit = [](std::size_t low, std::size_t sums) { return low == 0 || low == sums; };
        const bool fits =
            width > 0 && !entry.counts.empty() && entry.sum_sq.size() % entry.width == 0 &&
            entry.sum_sq.size() % entry.counts.size() == 0 && fit(entry.sum.size(), entry.sum_sq.size()) &&
            fit(entry.sum_sq_low.size(), entry.sum_sq.size()) && fit(entry.sum_low.size(), entry.sum.size());
        if (!fits) refuse("has sums that do not fit together: " + prefix);
        return entry;
    }

    /// Nothing where there is no such tensor.
    template <typename T> void read(const std::string& name, quant::TypeId type, std::vector<T>& to) const {
        const gguf::Tensor* tensor = file_.find(name);
        if (tensor == nullptr) return;
        if (tensor->type->id != type) refuse("has a tensor of another type than expected: " + name);
        to.resize(tensor->elements());
        std::memcpy(to.data(), file_.data(*tensor).data(), tensor->size_bytes);
    }

    /// The keys that begin so, without that beginning.
    gguf::Metadata without(const std::string& prefix) const {
        gguf::Metadata found(keys_.where());
        for (auto it = keys_.values().lower_bound(prefix);
             it != keys_.values().end() && it->first.starts_with(prefix); ++it)
            found.set(it->first.substr(prefix.size()), it->second);
        return found;
    }

    const SealedFile& file_;
    const gguf::Metadata& keys_;
};

}  // namespace

bool Position::is_behind(const Position& other) const noexcept {
    const auto work = [](const Position& p) { return std::tuple(p.chunks_done, p.wave_chunks * p.stage); };
    return work(*this) < work(other);
}

std::string standing_text(const Position& position) {
    std::string text = fmt::format("after {} chunks", position.chunks_done);
    if (position.wave_chunks > 0)
        text += fmt::format(" and {} stages of the next {}", position.stage, position.wave_chunks);
    return text;
}

SavedState::SavedState(const std::filesystem::path& path) : file_(path) {
    const Reader reader(file_);
    identity_ = reader.identity();
    head_.sequence = reader.count("state.sequence");
    head_.position.chunks_done = reader.count("state.chunks_done");
    head_.position.wave_chunks = reader.count("state.wave_chunks");
    head_.position.stage = reader.count("state.stage");
    head_.chunks_before = reader.count("state.chunks_before");
}

CollectorState SavedState::sums() const {
    const Reader reader(file_);
    CollectorState sums;
    imatrix::Matrix& matrix = sums.committed.matrix;
    if (const gguf::Strings* datasets = file_.metadata().find_strings("imatrix.datasets"))
        matrix.datasets = *datasets;
    matrix.chunk_count = static_cast<std::uint32_t>(reader.count("imatrix.chunk_count", UINT32_MAX));
    matrix.chunk_size = static_cast<std::uint32_t>(reader.count("imatrix.chunk_size", UINT32_MAX));
    matrix.n_layer_nextn =
        static_cast<std::uint32_t>(reader.count("imatrix.n_layer_nextn", imatrix::Matrix::kMostNextN));
    for (const auto& [key, value] : file_.metadata().values())
        if (key.starts_with("assay.")) matrix.extra.set(key, value);
    reader.entries("committed", [&](const gguf::Strings& weights, imatrix::Entry entry) {
        matrix.entries[weights.front()] = std::move(entry);
    });
    if (const gguf::Integers* skipped = file_.metadata().find_integers("state.skipped"))
        sums.committed.skipped = *skipped;
    sums.committed.chunk_losses = reader.losses("state.", 0);
    for (std::size_t block = 1; block <= matrix.n_layer_nextn; ++block)
        sums.committed.nextn_losses.push_back(reader.losses("state.", block));
    sums.committed.role_losses = reader.role_losses("state.");
    sums.committed.similarity = reader.similarity("state.");
    if (head_.position.wave_chunks == 0) return sums;
    reader.entries("touched", [&](gguf::Strings weights, imatrix::Entry entry) {
        sums.touched.push_back({std::move(weights), std::move(entry)});
    });
    sums.wave_similarity = reader.similarity("wave.");
    return sums;
}

engine::WaveStart SavedState::wave_start(const plan::PassPlan& plan,
                                         const std::vector<std::int64_t>& starts) const {
    const Reader reader(file_);
    const auto first = static_cast<std::size_t>(head_.position.chunks_done);
    const auto count = static_cast<std::size_t>(head_.position.wave_chunks);
    if (first >= starts.size() || count >= starts.size() - first)
        reader.refuse("stands at a chunk that the text has not");
    const std::int64_t first_token = starts[first];
    const std::int64_t n_tokens = starts[first + count] - first_token;
    const auto stage = static_cast<std::size_t>(head_.position.stage);
    if (stage == 0 || stage >= plan.stages().size())
        reader.refuse("stands at a stage that the model has not");
    for (const std::int32_t slot : plan.live_slots(stage)) {
        const plan::Slot& shape = plan.slots()[static_cast<std::size_t>(slot)];
        const gguf::Tensor* tensor = file_.find(fmt::format("slot.{}", slot));
        const auto row_bytes = static_cast<std::uint64_t>(shape.cols * backend::size_of(shape.type));
        if (tensor == nullptr || tensor->row_bytes() != row_bytes ||
            tensor->rows() != static_cast<std::uint64_t>(n_tokens))
            reader.refuse("has not the hidden states that the model needs");
    }
    const auto rows = [this, &starts, first_token](std::int32_t slot, std::int64_t chunk,
                                                   std::span<std::byte> to) {
        const gguf::Tensor& tensor = *file_.find(fmt::format("slot.{}", slot));
        const auto first_row =
            static_cast<std::uint64_t>(starts[static_cast<std::size_t>(chunk)] - first_token);
        const auto from = file_.data(tensor).subspan(first_row * tensor.row_bytes(), to.size());
        std::memcpy(to.data(), from.data(), to.size());
    };
    return {stage, rows};
}

Record read_record(const std::filesystem::path& path) {
    const SealedFile file(path);
    const Reader reader(file);
    return {reader.identity(), static_cast<std::uint64_t>(file.metadata().get_integer("state.output")),
            reader.count("state.chunks_done")};
}

}  // namespace assay::calibrate
