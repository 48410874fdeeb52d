// Small models and matrices for the tests of this room.
#pragma once

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/half.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "imatrix/matrix.h"
#include "support/temp_dir.h"

namespace assay::recipe {

struct Spec {
    std::string name;
    std::vector<std::uint64_t> ne;
    quant::TypeId type = quant::TypeId::F16;
    double amplitude = 0.1;
};

/// A model file with Gaussian weights.
class TinyModel {
  public:
    explicit TinyModel(const std::vector<Spec>& specs) : file_(write(specs)) {}
    const gguf::File& file() const { return file_; }

  private:
    gguf::File write(const std::vector<Spec>& specs) {
        std::mt19937 random(3);
        std::normal_distribution<float> normal;
        std::vector<std::vector<std::byte>> data;
        gguf::Writer writer;
        for (const Spec& spec : specs) {
            std::uint64_t n = 1;
            for (const std::uint64_t ne : spec.ne) n *= ne;
            const bool wide = spec.type == quant::TypeId::F32;
            auto& bytes = data.emplace_back(n * (wide ? 4 : 2));
            for (std::uint64_t i = 0; i < n; ++i) {
                const float weight = static_cast<float>(spec.amplitude) * normal(random);
                const std::uint16_t half = float_to_half(weight);
                if (wide)
                    std::memcpy(bytes.data() + 4 * i, &weight, 4);
                else
                    std::memcpy(bytes.data() + 2 * i, &half, 2);
            }
        }
        for (std::size_t i = 0; i < specs.size(); ++i)
            writer.add_tensor(specs[i].name, specs[i].ne, specs[i].type, data[i]);
        write_file_atomically(folder_ / "model.gguf", writer.bytes());
        return gguf::File::open(folder_ / "model.gguf");
    }

    test::TempDir folder_;
    gguf::File file_;
};

/// An entry for inputs whose columns differ in energy by up to a thousandfold.
inline imatrix::Entry entry(std::uint64_t n_in, std::vector<double> counts) {
    std::mt19937 random(9);
    imatrix::Entry e;
    e.width = n_in;
    for (const double count : counts)
        for (std::uint64_t j = 0; j < n_in; ++j)
            e.sum_sq.push_back(static_cast<double>(count) * (1.0 + static_cast<double>(random() % 1000)));
    e.counts = std::move(counts);
    return e;
}

}  // namespace assay::recipe
