#include "model/hyperparameters.h"

#include <cmath>

#include "core/error.h"
#include "gguf/limits.h"

namespace assay::model {

namespace limits = gguf::limits;

namespace {

float finite(double value, const std::string& key, const std::string& where) {
    if (!std::isfinite(static_cast<float>(value)))
        throw_error(ErrorKind::BadFile, where, "{} is {}, expected a finite number", key, value);
    return static_cast<float>(value);
}

}  // namespace

Hyperparameters::Hyperparameters(const gguf::Metadata& metadata, std::string architecture)
    : metadata_(metadata),
      architecture_(std::move(architecture)),
      prefix_(fmt::format("{}.", metadata.get_string("general.architecture"))) {
    hidden_ = positive("embedding_length", metadata_.get_integer(key("embedding_length")));
    context_length_ = positive("context_length", metadata_.get_integer(key("context_length")));
    const std::int64_t blocks = positive("block_count", metadata_.get_integer(key("block_count")));
    const std::int64_t ahead = integer("nextn_predict_layers").value_or(0);
    if (ahead < 0 || ahead >= blocks || blocks - ahead > limits::kLayers)
        throw_error(ErrorKind::BadFile, metadata_.where(),
                    "{} blocks, {} of them for several tokens ahead, expected 1 to {} layers beside those",
                    blocks, ahead, limits::kLayers);
    n_layers_ = blocks - ahead;
    n_blocks_ = blocks;
}

std::string Hyperparameters::key(std::string_view name) const {
    read_.emplace(name);
    return prefix_ + std::string(name);
}

const gguf::Value* Hyperparameters::peek(std::string_view name) const {
    const auto found = metadata_.values().find(prefix_ + std::string(name));
    return found == metadata_.values().end() ? nullptr : &found->second;
}

std::optional<std::int64_t> Hyperparameters::integer(std::string_view name) const {
    return metadata_.find_integer(key(name));
}

std::optional<double> Hyperparameters::real(std::string_view name) const {
    return metadata_.find_real(key(name));
}

std::int64_t Hyperparameters::required(std::string_view name) const {
    return positive(name, metadata_.get_integer(key(name)));
}

bool Hyperparameters::flag(std::string_view name, bool otherwise) const {
    return metadata_.find_bool(key(name)).value_or(otherwise);
}

float Hyperparameters::number(std::string_view name, double otherwise) const {
    return finite(real(name).value_or(otherwise), key(name), metadata_.where());
}

float Hyperparameters::number_of_layer(std::string_view name, std::int64_t layer, double otherwise) const {
    const gguf::Value* value = metadata_.find(key(name));
    if (value == nullptr || value->type != gguf::ValueType::Array) return number(name, otherwise);
    const auto all = metadata_.find_reals(key(name));
    return finite((*all)[index_of_layer(name, all->size(), layer)], key(name), metadata_.where());
}

float Hyperparameters::epsilon(std::string_view name) const {
    const double value = metadata_.get_real(key(name));
    if (!std::isfinite(value) || value < 0)
        throw_error(ErrorKind::BadFile, metadata_.where(), "{} is {}, expected a small positive number",
                    key(name), value);
    return static_cast<float>(value);
}

std::int64_t Hyperparameters::per_layer(std::string_view name, std::int64_t layer,
                                        std::int64_t otherwise) const {
    const gguf::Value* value = metadata_.find(key(name));
    if (value == nullptr) return otherwise;
    if (value->type != gguf::ValueType::Array) return *integer(name);
    const gguf::Integers& values = *metadata_.find_integers(key(name));
    return values[index_of_layer(name, values.size(), layer)];
}

std::size_t Hyperparameters::index_of_layer(std::string_view name, std::size_t size,
                                            std::int64_t layer) const {
    const auto n = static_cast<std::int64_t>(size);
    if (n == n_layers_ && layer >= n)
        throw_error(ErrorKind::BadFile, metadata_.where(), "{} has {} entries, expected one for block {} too",
                    key(name), n, layer);
    if (n != n_layers_ && n != n_blocks_)
        throw_error(ErrorKind::BadFile, metadata_.where(),
                    "{} has {} entries, expected one for each of {} layers", key(name), n, n_layers_);
    return static_cast<std::size_t>(layer);
}

std::int64_t Hyperparameters::positive(std::string_view name, std::int64_t value) const {
    if (value <= 0 || value > limits::kWidth)
        throw_error(ErrorKind::BadFile, metadata_.where(), "{} is {}, expected 1 to {}", key(name), value,
                    limits::kWidth);
    return value;
}

std::int64_t Hyperparameters::n_heads(std::int64_t layer) const {
    return positive("attention.head_count", per_layer("attention.head_count", layer, 0));
}

std::int64_t Hyperparameters::n_kv_heads(std::int64_t layer) const {
    const std::int64_t heads = n_heads(layer);
    const std::int64_t kv_heads =
        positive("attention.head_count_kv", per_layer("attention.head_count_kv", layer, heads));
    if (heads % kv_heads != 0)
        throw_error(ErrorKind::BadFile, metadata_.where(), "{} query heads are no multiple of {} key heads",
                    heads, kv_heads);
    return kv_heads;
}

std::int64_t Hyperparameters::head_dim(std::int64_t layer) const {
    return positive("attention.key_length",
                    integer("attention.key_length").value_or(hidden_ / n_heads(layer)));
}

std::int64_t Hyperparameters::value_dim(std::int64_t layer) const {
    return positive("attention.value_length",
                    integer("attention.value_length").value_or(hidden_ / n_heads(layer)));
}

std::int64_t Hyperparameters::ffn(std::int64_t layer) const {
    return positive("feed_forward_length", per_layer("feed_forward_length", layer, 0));
}

}  // namespace assay::model
