#include "gguf/file.h"

#include "core/error.h"
#include "gguf/limits.h"

namespace assay::gguf {

namespace fs = std::filesystem;

std::string Tensor::shape_text() const {
    std::string text = "[";
    for (std::size_t i = 0; i < std::max<std::size_t>(1, n_dims); ++i)
        text += (i == 0 ? "" : ", ") + std::to_string(ne[i]);
    return text + "]";
}

void File::add_shard(const fs::path& path) {
    shards_.emplace_back(path);
    Header header = parse_header(shards_.back().bytes(), path.string());
    const auto number = static_cast<std::uint32_t>(shards_.size() - 1);
    if (number == 0) {
        version_ = header.version;
        metadata_ = std::move(header.metadata);
    } else if (const auto no = header.metadata.find_integer("split.no"); no && *no != number) {
        throw_error(ErrorKind::BadFile, path.string(), "says it is part {} of the split model, expected {}",
                    *no + 1, number + 1);
    }
    for (Tensor& tensor : header.tensors) {
        tensor.shard = number;
        if (!index_.emplace(tensor.name, tensors_.size()).second)
            throw_error(ErrorKind::BadFile, path.string(),
                        "tensor {} is also in an earlier part of the split model", tensor.name);
        tensors_.push_back(std::move(tensor));
    }
}

void File::open_siblings(const fs::path& first, std::int64_t count) {
    if (count > limits::kParts)
        throw_error(ErrorKind::BadFile, first.string(), "split.count is {}, expected at most {}", count,
                    limits::kParts);
    const std::string suffix = fmt::format("-00001-of-{:05}.gguf", count);
    const std::string name = first.filename().string();
    if (!name.ends_with(suffix))
        throw_error(ErrorKind::Usage, first.string(), "is a part of a split model; give the part named *{}",
                    suffix);
    const std::string prefix = name.substr(0, name.size() - suffix.size());
    for (std::int64_t part = 2; part <= count; ++part)
        add_shard(first.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", prefix, part, count));
    const auto total = metadata_.find_integer("split.tensors.count");
    if (total && *total != static_cast<std::int64_t>(tensors_.size()))
        throw_error(ErrorKind::BadFile, first.string(), "split.tensors.count is {}, the {} parts hold {}",
                    *total, count, tensors_.size());
}

File File::open(const fs::path& path, const Overrides& overrides) {
    File file;
    file.add_shard(path);
    const std::int64_t count = file.metadata_.find_integer("split.count").value_or(0);
    const std::int64_t number = file.metadata_.find_integer("split.no").value_or(0);
    if (count > 1 && number != 0)
        throw_error(ErrorKind::Usage, path.string(), "is part {} of a split model; give the first part",
                    number + 1);
    if (count > 1) file.open_siblings(path, count);
    file.metadata_.apply(overrides);
    return file;
}

void File::adopt(File other, const std::function<bool(const Tensor&)>& wanted, const Overrides& metadata) {
    const auto first = static_cast<std::uint32_t>(shards_.size());
    for (Tensor& tensor : other.tensors_) {
        if (!wanted(tensor)) continue;
        tensor.shard += first;
        if (!index_.emplace(tensor.name, tensors_.size()).second)
            throw_error(ErrorKind::BadFile, other.where(), "tensor {} is also in {}", tensor.name, where());
        tensors_.push_back(std::move(tensor));
    }
    for (MappedFile& shard : other.shards_) shards_.push_back(std::move(shard));
    for (const auto& [key, value] : metadata) metadata_.set(key, value);
}

const Tensor* File::find(std::string_view name) const {
    const auto it = index_.find(name);
    return it == index_.end() ? nullptr : &tensors_[it->second];
}

const Tensor& File::get(std::string_view name) const {
    if (const Tensor* tensor = find(name)) return *tensor;
    throw_error(ErrorKind::BadFile, where(), "tensor {} is missing", name);
}

std::span<const std::byte> File::data(const Tensor& tensor) const {
    return shards_[tensor.shard].bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
}

std::uint64_t File::size_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const MappedFile& shard : shards_) total += shard.bytes().size();
    return total;
}

}  // namespace assay::gguf
