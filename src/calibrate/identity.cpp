#include "calibrate/identity.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/file.h"
#include "core/fingerprint.h"

namespace assay::calibrate {

namespace {

/// Raised when the same run gives other bytes, or a state means something else, than in earlier versions.
constexpr int kGeneration = 2;
/// Of a tensor, so many bytes at its beginning, in its middle and at its end.
constexpr std::size_t kSampleBytes = 64;

bool is_output(const std::filesystem::path& in_file, const Options& options) {
    std::error_code failure;
    return std::filesystem::equivalent(in_file, options.output, failure);
}

std::string sizes_of(const gguf::File& file) {
    std::string sizes;
    for (std::size_t i = 0; i < file.n_shards(); ++i)
        sizes += fmt::format("{}{}", i == 0 ? "" : " + ", file.shard(i).bytes().size());
    return sizes + " bytes";
}

/// Metadata and the directory of tensors: what stands before the first tensor's data.
std::string header_of(const gguf::File& file) {
    Fingerprint fingerprint;
    for (std::size_t shard = 0; shard < file.n_shards(); ++shard) {
        std::uint64_t end = file.shard(shard).bytes().size();
        for (const gguf::Tensor& tensor : file.tensors())
            if (tensor.shard == shard) end = std::min(end, tensor.offset_bytes);
        fingerprint.add(file.shard(shard).bytes().first(end));
    }
    return fingerprint_text(fingerprint.value());
}

std::string samples_of(const gguf::File& file) {
    Fingerprint fingerprint;
    for (const gguf::Tensor& tensor : file.tensors()) {
        const auto data = file.data(tensor);
        const std::size_t n = std::min(kSampleBytes, data.size());
        for (const std::size_t at : {std::size_t{0}, (data.size() - n) / 2, data.size() - n})
            fingerprint.add(data.subspan(at, n));
    }
    // The system has mapped what lies around each sample too, a tenth of a gigabyte for 600 tensors.
    for (std::size_t i = 0; i < file.n_shards(); ++i) file.shard(i).drop(0, file.shard(i).bytes().size());
    return fingerprint_text(fingerprint.value());
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
    return all.empty() ? "none" : all;
}

std::string to_string(MissingExperts as) {
    switch (as) {
        case MissingExperts::Zero: return "zero";
        case MissingExperts::One: return "one";
        case MissingExperts::All: return "all";
    }
    return {};
}

std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

/// What the results of each chunk follow from.
Identity identity_of_chunk(const Options& options, const gguf::File& file, const backend::Backend& backend) {
    Identity items = identity_of_model(file);
    items.insert(items.begin(), {"the program's generation", std::to_string(kGeneration)});
    const Identity asked{
        {"overridden metadata", joined(gguf::describe_overrides(file.metadata()).read)},
        {"the text's name", options.dataset},
        {"--parse-special", yes_or_no(options.parse_special)},
        {"--ctx-size", std::to_string(options.n_ctx)},
        {"the output projection (--process-output)",
         options.process_output ? options.output_tensor_name : "not collected"},
        {"the perplexity (--no-ppl)", yes_or_no(options.perplexity)},
        {"the similarity (-lsim)", yes_or_no(options.similarity)},
        {"blocks that predict ahead (--nextn, -md)", yes_or_no(options.nextn || !options.draft.empty())},
        {"the arithmetic (--device, --precision, --isa)", backend.arithmetic()},
        {"--complete", yes_or_no(options.complete)},
        {"--missing-experts", to_string(options.missing_experts)},
    };
    items.insert(items.end(), asked.begin(), asked.end());
    return items;
}

}  // namespace

Identity identity_of_model(const gguf::File& file) {
    return {{"the model's size", sizes_of(file)},
            {"the model's header", header_of(file)},
            {"the model's weights (samples)", samples_of(file)}};
}

std::string run_fingerprint(const Options& options, const gguf::File& file, const Chunks& chunks,
                            const backend::Backend& backend) {
    Fingerprint fingerprint;
    for (const IdentityItem& item : identity_of_chunk(options, file, backend)) {
        const std::string line = item.name + "\n" + item.value + "\n";
        fingerprint.add(std::as_bytes(std::span(line)));
    }
    fingerprint.add(std::as_bytes(std::span(&chunks.text, 1)));
    return fingerprint_text(fingerprint.value());
}

bool starts_from_output(const Options& options) {
    return std::ranges::any_of(options.in_files, [&](const auto& path) { return is_output(path, options); });
}

Identity identity_of(const Options& options, const gguf::File& file, const Chunks& chunks,
                     const backend::Backend& backend, std::int64_t wave_chunks) {
    Identity items = identity_of_chunk(options, file, backend);
    const Identity of_run{
        {"--chunk", std::to_string(options.skip_chunks)},
        {"the number of chunks (--chunks)", std::to_string(chunks.n_chunks())},
        {"the text's tokens", fingerprint_text(fingerprint_of(std::as_bytes(std::span(chunks.targets))))},
        {"the model's input (first tokens)",
         fingerprint_text(fingerprint_of(std::as_bytes(std::span(chunks.inputs))))},
        {"the number of matrices started from (--in-file)", std::to_string(options.in_files.size())},
    };
    items.insert(items.end(), of_run.begin(), of_run.end());
    if (chunks.documents && chunks.documents->dated)  // before the tokens, which follow from it
        items.insert(items.begin(), {"the day that the chat template is told (--template-date)",
                                     documents::day_of(options.documents.render)});
    if (!chunks.are_plain()) {
        items.push_back({"the chunks' lengths",
                         fingerprint_text(fingerprint_of(std::as_bytes(std::span(chunks.starts))))});
        items.push_back({"the tokens' weights",
                         chunks.weights.empty()
                             ? "none"
                             : fingerprint_text(fingerprint_of(std::as_bytes(std::span(chunks.weights))))});
        if (!chunks.roles.empty())
            items.push_back({"who says the tokens",
                             fingerprint_text(fingerprint_of(std::as_bytes(std::span(chunks.roles))))});
        items.push_back({"the tokens that are scored", chunks.scored == engine::ScoredTokens::SecondHalf
                                                           ? "second half"
                                                           : "all but first"});
    }
    if (options.missing_experts == MissingExperts::All)  // the last wave goes through them
        items.push_back({"the length of waves (--wave, --memory), since --missing-experts goes by them",
                         std::to_string(wave_chunks)});
    for (const auto& path : options.in_files) {
        // The output changes under the run; its state has what it began with.
        const bool changes = is_output(path, options);
        items.push_back({"the matrix started from, " + path.filename().string(),
                         changes ? "the output itself" : fingerprint_text(fingerprint_of_file(path))});
    }
    return items;
}

std::optional<std::string> difference(const Identity& before, const Identity& now) {
    for (std::size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
        if (i >= before.size()) return fmt::format("{} was unknown, is {} now", now[i].name, now[i].value);
        if (i >= now.size()) return fmt::format("{} was {}, is unknown now", before[i].name, before[i].value);
        if (before[i].name != now[i].name)
            return fmt::format("{} is asked for now, {} was then", now[i].name, before[i].name);
        if (before[i].value != now[i].value)
            return fmt::format("{} was {}, is {} now", now[i].name, before[i].value, now[i].value);
    }
    return std::nullopt;
}

}  // namespace assay::calibrate
