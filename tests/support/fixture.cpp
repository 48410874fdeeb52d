#include "support/fixture.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "core/error.h"
#include "core/file.h"
#include "core/half.h"
#include "gguf/file.h"

namespace assay::test {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;

fs::path stored(const std::string& name) { return fs::path(ASSAY_GOLDEN_DIR) / "archs" / name; }

nlohmann::json manifest() { return nlohmann::json::parse(read_file(stored("manifest.json"))); }

std::uint64_t fnv1a(std::string_view text) {
    // The offset basis lacks the usual last digit; it is part of the rule and the references depend on it.
    std::uint64_t hash = 1469598103934665603u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return hash;
}

/// Steele, Lea & Flood 2014.
std::uint64_t splitmix64(std::uint64_t state) {
    std::uint64_t z = state + kGoldenRatio;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

struct Range {
    float center;
    float amplitude;
};

Range range_of(const gguf::Tensor& tensor) {
    const std::string_view name = tensor.name;
    const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
    const auto n_in = static_cast<float>(tensor.ne[0]);
    const bool is_vector = tensor.rows() == 1;
    if (name.ends_with("ssm_a")) return {-1.0f, 0.5f};
    if (has("norm") && name.ends_with(".weight")) return {1.0f, 0.25f};
    if (name == "token_embd.weight") return {0.0f, 0.12f};
    if (name.ends_with("ffn_gate_inp.weight")) return {0.0f, 4.0f / std::sqrt(n_in)};
    if (name == "output.weight") return {0.0f, 0.7f * std::sqrt(3.0f / n_in)};
    if (has("rope_f")) return {1.5f, 0.5f};
    if (is_vector && has("scale")) return {1.0f, 0.25f};
    if (!is_vector) return {0.0f, 1.4f * std::sqrt(3.0f / n_in)};
    return {0.0f, 0.1f};
}

float weight(std::uint64_t hash, std::uint64_t index, Range range) {
    const std::uint64_t z = splitmix64(hash + index * kGoldenRatio);
    const auto u = static_cast<float>(static_cast<double>(z >> 40) / 8388608.0 - 1.0);
    return range.center + range.amplitude * u;
}

void fill_tensor(const gguf::Tensor& tensor, std::uint64_t seed, std::byte* out) {
    const Range range = range_of(tensor);
    const std::uint64_t hash = fnv1a(tensor.name) ^ seed;
    const bool is_half = tensor.type->id == quant::TypeId::F16;
    if (!is_half && tensor.type->id != quant::TypeId::F32)
        throw_error(ErrorKind::Unsupported, tensor.name, "is {}, a fixture holds f32 and f16",
                    tensor.type->name);
    for (std::uint64_t i = 0; i < tensor.elements(); ++i) {
        const float value = weight(hash, i, range);
        if (is_half) {
            const std::uint16_t half = float_to_half(value);
            std::memcpy(out + i * sizeof(half), &half, sizeof(half));
        } else {
            std::memcpy(out + i * sizeof(value), &value, sizeof(value));
        }
    }
}

}  // namespace

std::vector<std::byte> fill_model(const fs::path& head, std::size_t file_bytes, std::uint64_t seed) {
    const std::string header = read_file(head);
    if (header.size() > file_bytes)
        throw_error(ErrorKind::BadFile, head.string(), "has {} bytes, the whole file should have {}",
                    header.size(), file_bytes);
    std::vector<std::byte> bytes(file_bytes);
    std::memcpy(bytes.data(), header.data(), header.size());
    for (const gguf::Tensor& tensor : gguf::parse_header(bytes, head.string()).tensors)
        fill_tensor(tensor, seed, bytes.data() + tensor.offset_bytes);
    return bytes;
}

bool collects_nextn(const std::string& name) { return name.find("-nextn") != std::string::npos; }

std::vector<std::string> fixture_names() {
    const nlohmann::json all = manifest();
    std::vector<std::string> names;
    for (const auto& [name, entry] : all.items())
        if (name != "_run") names.push_back(name);
    std::sort(names.begin(), names.end());
    for (const std::string& restless : restless_fixture_names()) std::erase(names, restless);
    return names;
}

std::vector<std::string> restless_fixture_names() {
    return {"gemma3n-dense", "gemma4-dense", "gemma4-e2b-dense", "gemma4-moe", "mistral4-yarn-moe"};
}

std::vector<std::string> family_fixture_names() {
    return {"bloom-dense",   "deepseek2-kvb-moe", "falcon-h1-dense", "gemma3-dense",   "glm4moe-nextn-moe",
            "gpt-oss-moe",   "granite-moe",       "lfm2moe-moe",     "llada-moe-moe",  "llama-dense",
            "llama-moe",     "mamba2-dense",      "maple-moe",       "minimax-m2-moe", "nemotron_h_moe-moe",
            "olmo2-dense",   "phi2-dense",        "plamo3-dense",    "qwen2moe-moe",   "qwen35-dense",
            "qwen3next-moe", "stablelm-dense"};
}

std::string test_name(std::string text) {
    for (char& c : text)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return text;
}

void write_hollow_model(const std::filesystem::path& head, const std::filesystem::path& to) {
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;
    std::filesystem::copy_file(head, to);
    std::filesystem::resize_file(to, kLargest);  // sparse
    const gguf::Header header = gguf::parse_header(MappedFile(to).bytes(), to.string());
    std::uint64_t end = std::filesystem::file_size(head);
    std::fstream file(to, std::ios::in | std::ios::out | std::ios::binary);
    for (const auto& tensor : header.tensors) {
        end = std::max(end, tensor.offset_bytes + tensor.size_bytes);
        if (tensor.name.find("rope_f") == std::string::npos) continue;
        const std::vector<float> ones(tensor.elements(), 1.0f);
        file.seekp(static_cast<std::streamoff>(tensor.offset_bytes));
        file.write(reinterpret_cast<const char*>(ones.data()),
                   static_cast<std::streamsize>(tensor.size_bytes));
    }
    file.close();
    if (!file) throw_error(ErrorKind::Io, to.string(), "cannot be written");
    std::filesystem::resize_file(to, end);
}

Fixture::Fixture(const std::string& name) : model_(folder_ / (name + ".gguf")) {
    const nlohmann::json all = manifest();
    if (name == "_run" || !all.contains(name))
        throw_error(ErrorKind::Usage, name, "is not in {}", (stored("manifest.json")).string());
    const nlohmann::json& run = all.at("_run");
    const nlohmann::json& entry = all.at(name);
    nextn_ = collects_nextn(name);
    const std::uint64_t seed = std::stoull(run.at("seed").get<std::string>(), nullptr, 0);
    const auto bytes =
        fill_model(stored(name + ".head.gguf"), entry.at("file_bytes").get<std::size_t>(), seed);
    const std::string found = fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
    const auto expected = entry.at("xxh3_64").get<std::string>();
    if (found != expected)
        throw_error(ErrorKind::BadFile, name, "the filled model has fingerprint {}, expected {}", found,
                    expected);
    write_file_atomically(model_, bytes);
    run_ = {stored(run.at("text").get<std::string>()), run.at("ctx").get<int>(), run.at("chunks").get<int>()};
    running_perplexity_ = entry.at("running_ppl").get<std::vector<double>>();
    matrix_ = read_matrix(stored(name + ".imatrix.gguf"));
}

}  // namespace assay::test
