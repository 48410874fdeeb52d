#include "hostile/subject.h"

#include <algorithm>
#include <cstdlib>

#include "core/file.h"
#include "gguf/file.h"
#include "support/allocations.h"
#include "support/fixture.h"

namespace assay::test {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostHeadBytes = std::size_t{1} << 20;

std::vector<std::byte> bytes_of(const fs::path& path) {
    const std::string text = read_file(path);
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// Where the first tensor's data begin.
std::size_t head_bytes(std::span<const std::byte> bytes) {
    std::size_t first = bytes.size();
    if (gguf::has_magic(bytes))
        for (const gguf::Tensor& tensor : gguf::parse_header(bytes, "subject").tensors)
            first = std::min(first, static_cast<std::size_t>(tensor.offset_bytes));
    return std::min(first, kMostHeadBytes);
}

std::string architecture_of(std::span<const std::byte> bytes) {
    return std::string(gguf::parse_header(bytes, "subject").metadata.get_string("general.architecture"));
}

}  // namespace

Subject::Subject(std::string name, bool is_model, std::vector<std::byte> bytes, std::size_t head)
    : name_(std::move(name)),
      is_model_(is_model),
      bytes_(std::move(bytes)),
      mutator_({bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head)}, bytes_.size(),
               is_model_ ? architecture_of(bytes_) : "") {}

Subject Subject::model(const fs::path& head) {
    const TempDir folder;
    write_hollow_model(head, folder / "model.gguf");  // which knows how long the whole file is
    auto bytes = fill_model(head, fs::file_size(folder / "model.gguf"), 1);
    const std::size_t n = head_bytes(bytes);
    std::string name = head.filename().string();
    return {name.substr(0, name.find('.')), true, std::move(bytes), n};
}

Subject Subject::matrix(const fs::path& file) {
    auto bytes = bytes_of(file);
    const std::size_t n = head_bytes(bytes);
    return {file.filename().string(), false, std::move(bytes), n};
}

std::vector<std::byte> Subject::bytes(const Mutation& mutation) const {
    std::vector<std::byte> all(std::max(bytes_.size(), mutation.head.size()));
    std::ranges::copy(bytes_, all.begin());
    std::ranges::copy(mutation.head, all.begin());
    if (mutation.size < bytes_.size()) all.resize(mutation.size);
    return all;
}

fuzz::Verdict Subject::examine(const Mutation& mutation, bool run) {
    const auto limited = [&](auto&& examine) {
        forget_allocations(most_bytes());
        const fuzz::Verdict verdict = examine();
        forget_allocations();
        return verdict;
    };
    if (!is_model_) {
        const std::vector<std::byte> all = bytes(mutation);
        return limited([&] { return fuzz::examine_matrix(all); });
    }
    if (mutation.size < bytes_.size()) {
        const fuzz::MemoryFile cut(bytes(mutation));
        return limited([&] { return fuzz::examine_model_file(cut.path(), run); });
    }
    if (!file_) file_ = std::make_unique<fuzz::MemoryFile>(bytes_);
    file_->overwrite(mutation.head);
    const fuzz::Verdict verdict = limited([&] { return fuzz::examine_model_file(file_->path(), run); });
    file_->overwrite(fuzz::Bytes(bytes_).first(mutation.head.size()));
    return verdict;
}

std::vector<Subject> subjects() {
    const char* other = std::getenv("ASSAY_HEADS");
    std::vector<Subject> all;
    if (other != nullptr) {
        for (const auto& entry : fs::directory_iterator(other))
            if (entry.path().string().ends_with(".head.gguf")) all.push_back(Subject::model(entry.path()));
        std::ranges::sort(all, {}, &Subject::name);
        return all;
    }
    const fs::path golden = ASSAY_GOLDEN_DIR;
    for (const char* name :
         {"llama-dense", "phi3-long-dense", "gemma3-dense", "llama-moe", "qwen2moe-moe", "gpt-oss-moe",
          "deepseek2-kvb-moe", "mistral4-moe", "mamba2-dense", "falcon-h1-dense", "lfm2moe-moe",
          "qwen3next-moe", "nemotron_h_moe-latent-moe", "minimax-m2-moe"})
        all.push_back(Subject::model(golden / "archs" / (std::string(name) + ".head.gguf")));
    for (const char* name : {"sample.gguf", "sample.dat", "peer.gguf", "peer.dat"})
        all.push_back(Subject::matrix(golden / "imatrix" / name));
    return all;
}

}  // namespace assay::test
