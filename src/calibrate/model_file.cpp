#include "calibrate/model_file.h"

#include <algorithm>

#include "core/error.h"
#include "gguf/tensor_name.h"

namespace assay::calibrate {

namespace {

/// What a file says of its blocks.
struct Blocks {
    std::string architecture;
    std::int64_t all = 0;
    std::int64_t ahead = 0;  ///< the last of them, which predict ahead

    explicit Blocks(const gguf::File& file)
        : architecture(file.metadata().get_string("general.architecture")),
          all(file.metadata().get_integer(key("block_count"))),
          ahead(file.metadata().find_integer(key("nextn_predict_layers")).value_or(0)) {}

    std::string key(std::string_view name) const { return fmt::format("{}.{}", architecture, name); }
    std::int64_t layers() const { return all - ahead; }
    /// Of what a block hands on.
    std::int64_t width(const gguf::File& file) const {
        return file.metadata()
            .find_integer(key("embedding_length_out"))
            .value_or(file.metadata().get_integer(key("embedding_length")));
    }
};

const gguf::Tensor* find_tensor(const gguf::File& file, auto holds) {
    const auto found = std::ranges::find_if(file.tensors(), holds);
    return found == file.tensors().end() ? nullptr : &*found;
}

bool is_nextn(const gguf::Tensor& tensor) { return tensor.name.find(".nextn.") != std::string::npos; }
bool is_of_first_layer(const gguf::Tensor& tensor) { return gguf::block_of(tensor.name) == 0; }

void check_is_model(const gguf::File& file) {
    if (find_tensor(file, is_of_first_layer) == nullptr && find_tensor(file, is_nextn) != nullptr)
        throw_error(
            ErrorKind::Usage, file.where(),
            "is a draft: it holds blocks that predict ahead and no layers; give it with --model-draft "
            "beside its model");
}

void check_draft(const gguf::File& model, const gguf::File& draft) {
    if (const gguf::Tensor* own = find_tensor(model, is_nextn))
        throw_error(ErrorKind::Usage, "--model-draft",
                    "{} has blocks that predict ahead itself ({}); --nextn calibrates them without a draft",
                    model.where(), own->name);
    const Blocks theirs(draft), ours(model);
    if (theirs.architecture != ours.architecture)
        throw_error(ErrorKind::BadFile, draft.where(), "is of architecture {}, expected the model's, {}",
                    theirs.architecture, ours.architecture);
    if (theirs.ahead <= 0)
        throw_error(ErrorKind::BadFile, draft.where(), "is no draft: {} is {}, expected 1 or more",
                    theirs.key("nextn_predict_layers"), theirs.ahead);
    if (const gguf::Tensor* layer = find_tensor(draft, is_of_first_layer);
        layer != nullptr && theirs.layers() > 0)
        throw_error(
            ErrorKind::BadFile, draft.where(),
            "is no draft: it has layers of its own (tensor {}), expected blocks that predict ahead only",
            layer->name);
    if (theirs.layers() <= 0)
        throw_error(
            ErrorKind::Unsupported, draft.where(),
            "its blocks attend to what the model's layers keep ({} is {}, all of them predict ahead), "
            "which is not computed",
            theirs.key("block_count"), theirs.all);
    const auto first = [&](const gguf::Tensor& tensor) {
        return is_nextn(tensor) && gguf::block_of(tensor.name) == ours.layers();
    };
    if (theirs.layers() != ours.layers() || find_tensor(draft, first) == nullptr)
        throw_error(ErrorKind::BadFile, draft.where(),
                    "has no tensor blk.{}.nextn.*, expected one behind the model's {} layers", ours.layers(),
                    ours.layers());
    if (theirs.width(draft) != ours.width(model))
        throw_error(ErrorKind::BadFile, draft.where(), "hands on {} columns, expected {} as the model does",
                    theirs.width(draft), ours.width(model));
    const auto* tokens = draft.metadata().find_strings("tokenizer.ggml.tokens");
    const auto* known = model.metadata().find_strings("tokenizer.ggml.tokens");
    if (tokens != nullptr && known != nullptr && *tokens != *known)
        throw_error(ErrorKind::BadFile, draft.where(),
                    "has another vocabulary than the model ({} tokens and {}), expected the same",
                    tokens->size(), known->size());
}

/// The draft's keys that the model lacks, or whose arrays have entries for more blocks; and the counts.
gguf::Overrides metadata_of(const gguf::File& model, const gguf::File& draft) {
    const Blocks blocks(draft);
    const auto is_longer = [](const gguf::Value& a, const gguf::Value& b) {
        const auto size = [](const gguf::Value& value) -> std::size_t {
            if (const auto* all = std::get_if<gguf::Integers>(&value.data)) return all->size();
            if (const auto* all = std::get_if<gguf::Reals>(&value.data)) return all->size();
            return 0;
        };
        return size(a) > size(b);
    };
    gguf::Overrides taken;
    for (const auto& [key, value] : draft.metadata().values()) {
        if (!key.starts_with(blocks.key(""))) continue;
        const auto own = model.metadata().values().find(key);
        if (own == model.metadata().values().end() || key == blocks.key("block_count") ||
            key == blocks.key("nextn_predict_layers") || is_longer(value, own->second))
            taken.emplace_back(key, value);
    }
    return taken;
}

}  // namespace

gguf::File open_model(const std::filesystem::path& path, const gguf::Overrides& overrides,
                      const std::filesystem::path& draft_path) {
    gguf::File model = gguf::File::open(path, overrides);
    check_is_model(model);
    if (draft_path.empty()) return model;
    gguf::File draft = gguf::File::open(draft_path);
    check_draft(model, draft);
    const std::int64_t n_layers = Blocks(model).layers();
    const gguf::Overrides metadata = metadata_of(model, draft);
    model.adopt(
        std::move(draft),
        [&](const gguf::Tensor& tensor) { return gguf::block_of(tensor.name).value_or(-1) >= n_layers; },
        metadata);
    return model;
}

std::optional<std::string> why_no_nextn(const gguf::File& model, const model::Program& program) {
    if (!program.nextn.empty()) return std::nullopt;
    const Blocks blocks(model);
    if (blocks.ahead <= 0) return "the model has no blocks that predict ahead; --nextn has no effect";
    if (find_tensor(model, is_nextn) == nullptr)
        return fmt::format(
            "the model speaks of {} blocks that predict ahead and holds no tensor of them; --nextn has no "
            "effect, and a file with them is given with --model-draft",
            blocks.ahead);
    return fmt::format(
        "how the blocks that predict ahead of architecture {} are computed is not known here; --nextn has no "
        "effect, and they get no data",
        program.architecture);
}

}  // namespace assay::calibrate
