#include "backend/backend_case.h"

#include <cmath>
#include <cstring>

#include "backend/cuda_backend.h"
#include "core/half.h"

namespace assay::backend {

std::string name_of(const testing::TestParamInfo<Case>& info) {
    return info.param.device + (info.param.precision == Precision::F32 ? "_f32" : "_bf16");
}

std::vector<Case> all_cases() {
    return {{"cpu", Precision::F32},
            {"cpu", Precision::Bf16},
            {"cuda", Precision::F32},
            {"cuda", Precision::Bf16}};
}

void BackendTest::SetUp() {
    const Case& c = GetParam();
    if (c.device == "cuda" && cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
    pool_ = std::make_unique<ThreadPool>(2);
    OpenOptions options;
    options.device = c.device;
    options.precision = c.precision;
    options.chunk_tokens = 128;
    backend_ = open(options, *pool_);
}

std::vector<float> BackendTest::random_floats(std::int64_t n, double deviation, double mean) {
    std::normal_distribution<double> normal(mean, deviation);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) v = static_cast<float>(normal(random_));
    return values;
}

namespace {

double rounded(double x, DType dtype) {
    const auto f = static_cast<float>(x);
    return dtype == DType::F32 ? f : bf16_to_float(float_to_bf16(f));
}

}  // namespace

reference::Matrix BackendTest::random(std::int64_t rows, std::int64_t cols, DType dtype, double deviation) {
    std::normal_distribution<double> normal(0, deviation);
    reference::Matrix m(rows, cols);
    for (double& v : m.values) v = rounded(normal(random_), dtype);
    return m;
}

Stored BackendTest::store(const reference::Matrix& m, DType dtype, std::int64_t padding) {
    const std::int64_t stride = m.cols + padding;
    // upload() takes floats as they are, so that two bf16 travel as one.
    std::vector<float> bits(static_cast<std::size_t>((m.rows * stride * size_of(dtype) + 3) / 4));
    auto* bytes = reinterpret_cast<std::byte*>(bits.data());
    for (std::int64_t r = 0; r < m.rows; ++r)
        for (std::int64_t c = 0; c < m.cols; ++c) {
            const auto value = static_cast<float>(m.at(r, c));
            const std::uint16_t half = float_to_bf16(value);
            const void* from = dtype == DType::F32 ? static_cast<const void*>(&value) : &half;
            std::memcpy(bytes + (r * stride + c) * size_of(dtype), from,
                        static_cast<std::size_t>(size_of(dtype)));
        }
    Stored stored{backend().upload(bits), {}};
    stored.view = {stored.buffer->data(), dtype, m.rows, m.cols, stride};
    return stored;
}

Stored BackendTest::blank(std::int64_t rows, std::int64_t cols, DType dtype) {
    // Every bit set is not a number in both types: what was not written shows.
    const std::vector<float> poison(static_cast<std::size_t>((rows * cols * size_of(dtype) + 3) / 4),
                                    std::bit_cast<float>(0xffffffffu));
    Stored stored{backend().upload(poison), {}};
    stored.view = {stored.buffer->data(), dtype, rows, cols, cols};
    return stored;
}

std::vector<std::byte> BackendTest::fetch_bytes(const View& view) {
    std::vector<std::byte> bytes(
        static_cast<std::size_t>(((view.rows - 1) * view.stride + view.cols) * size_of(view.dtype)));
    backend().download(view.data, bytes);
    return bytes;
}

reference::Matrix BackendTest::fetch(const View& view) {
    const std::vector<std::byte> bytes = fetch_bytes(view);
    reference::Matrix m(view.rows, view.cols);
    for (std::int64_t r = 0; r < view.rows; ++r)
        for (std::int64_t c = 0; c < view.cols; ++c) {
            const std::byte* at = bytes.data() + (r * view.stride + c) * size_of(view.dtype);
            float value;
            std::uint16_t half;
            if (view.dtype == DType::F32) {
                std::memcpy(&value, at, sizeof value);
            } else {
                std::memcpy(&half, at, sizeof half);
                value = bf16_to_float(half);
            }
            m.at(r, c) = value;
        }
    return m;
}

MatrixPtr BackendTest::prepare(const reference::Matrix& w) {
    std::vector<float> values(w.values.begin(), w.values.end());
    WeightSource source;
    source.type = &quant::type_info(quant::TypeId::F32);
    source.bytes = std::as_bytes(std::span(values));
    source.n_in = w.cols;
    source.n_out = w.rows;
    return backend().prepare(std::span(&source, 1));
}

MatrixPtr BackendTest::prepare_halves(const reference::Matrix& w) {
    const std::vector<float> values(w.values.begin(), w.values.end());
    const auto bytes = std::as_bytes(std::span(values));
    const quant::TypeInfo* type = &quant::type_info(quant::TypeId::F32);
    const WeightSource halves[] = {{type, bytes.first(bytes.size() / 2), w.cols, w.rows / 2, 1},
                                   {type, bytes.last(bytes.size() / 2), w.cols, w.rows / 2, 1}};
    return backend().prepare(halves);
}

Norm BackendTest::stored(const reference::Norm& norm) {
    const auto keep = [&](const std::vector<float>& values) -> const float* {
        if (values.empty()) return nullptr;
        kept_.push_back(backend().upload(values));
        return kept_.back()->f32();
    };
    Norm result;
    result.kind = norm.kind;
    result.eps = static_cast<float>(norm.eps);
    result.weight = keep(norm.weight);
    result.bias = keep(norm.bias);
    result.n_slices = norm.n_slices;
    result.repeats = norm.repeats;
    return result;
}

Left BackendTest::run(const Operation& operation, Rows rows, std::int64_t first_row, std::int64_t cols,
                      bool sums_only) {
    const Stored operand = blank(rows.count(), cols, backend().operand_dtype());
    const Stored plain = blank(rows.count(), cols, DType::F32);
    const Stored squares = blank(rows.n_chunks, cols, DType::F32);
    const Stored sums = blank(rows.n_chunks, cols, DType::F32);
    Produced out;
    if (!sums_only) {
        out.operand = operand.view;
        out.plain = plain.view;
    }
    out.sums = {squares.buffer->f32(), sums.buffer->f32()};
    operation(rows, first_row, out);
    const auto floats = [&](const View& view) {
        std::vector<float> values(static_cast<std::size_t>(view.rows * view.cols));
        backend().download(view.data, std::as_writable_bytes(std::span(values)));
        return values;
    };
    return {fetch_bytes(operand.view), floats(plain.view), floats(squares.view), floats(sums.view)};
}

reference::Matrix BackendTest::check_produced(const Operation& operation, Rows rows, std::int64_t cols) {
    const Left whole = run(operation, rows, 0, cols);
    reference::Matrix plain(rows.count(), cols);
    std::copy(whole.plain.begin(), whole.plain.end(), plain.values.begin());

    const Stored operand = blank(rows.count(), cols, backend().operand_dtype());
    for (std::size_t i = 0; i < whole.plain.size(); ++i) {
        float value;
        std::uint16_t half;
        if (backend().operand_dtype() == DType::F32) {
            std::memcpy(&value, whole.operand.data() + 4 * i, 4);
            EXPECT_EQ(value, whole.plain[i]) << "operand " << i;
        } else {
            std::memcpy(&half, whole.operand.data() + 2 * i, 2);
            EXPECT_EQ(half, float_to_bf16(whole.plain[i])) << "operand " << i;
        }
        if (testing::Test::HasFailure()) return plain;
    }
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
        for (std::int64_t c = 0; c < cols; ++c) {
            double squares = 0;
            double sum = 0;
            double magnitudes = 0;
            for (std::int64_t r = chunk * rows.chunk_tokens; r < (chunk + 1) * rows.chunk_tokens; ++r) {
                squares += plain.at(r, c) * plain.at(r, c);
                sum += plain.at(r, c);
                magnitudes += std::abs(plain.at(r, c));
            }
            // Each value meets at most as many f32 additions as the chunk has rows.
            const double steps = static_cast<double>(rows.chunk_tokens + 2) * 0x1p-24;
            const auto at = static_cast<std::size_t>(chunk * cols + c);
            EXPECT_NEAR(whole.squares[at], squares, squares * steps) << "chunk " << chunk << " column " << c;
            EXPECT_NEAR(whole.sums[at], sum, magnitudes * steps) << "chunk " << chunk << " column " << c;
            if (testing::Test::HasFailure()) return plain;
        }

    const Left sums_only = run(operation, rows, 0, cols, true);
    EXPECT_EQ(sums_only.squares, whole.squares);
    EXPECT_EQ(sums_only.sums, whole.sums);
    const auto expect_same = [&](const Left& found, const Left& expected, const char* what) {
        EXPECT_TRUE(found.operand == expected.operand) << what;
        EXPECT_TRUE(found.plain == expected.plain) << what;
        EXPECT_TRUE(found.squares == expected.squares) << what;
        EXPECT_TRUE(found.sums == expected.sums) << what;
    };
    std::vector<std::int64_t> starts;
    for (std::int64_t chunk = 0; chunk <= rows.n_chunks; ++chunk) starts.push_back(rows.first_row(chunk));
    expect_same(one_by_one(operation, starts, cols), whole, "the result depends on the call");
    const std::vector<std::int64_t> unequal = cut(rows);
    const RowTablePtr table = backend().lay_out(unequal, {});
    expect_same(run(operation, Rows::of(*table), 0, cols), one_by_one(operation, unequal, cols),
                "chunks of unequal length");
    check_weights(operation, rows, cols, whole);
    return plain;
}

std::vector<std::int64_t> BackendTest::cut(Rows rows) {
    std::vector<std::int64_t> starts{0};
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
        starts.push_back(rows.first_row(chunk) + (7 * chunk + 1) % rows.chunk_tokens);
        starts.push_back(rows.first_row(chunk + 1));
        if (chunk == 0) starts.push_back(starts.back());
    }
    return starts;
}

Left BackendTest::one_by_one(const Operation& operation, std::span<const std::int64_t> starts,
                             std::int64_t cols) {
    Left all;
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
        const std::int64_t n = starts[i + 1] - starts[i];
        Left part;
        if (n > 0) part = run(operation, {1, n}, starts[i], cols);
        part.squares.resize(static_cast<std::size_t>(cols));  // of no rows: 0
        part.sums.resize(static_cast<std::size_t>(cols));
        append(all.operand, part.operand);
        append(all.plain, part.plain);
        append(all.squares, part.squares);
        append(all.sums, part.sums);
    }
    return all;
}

void BackendTest::check_weights(const Operation& operation, Rows rows, std::int64_t cols,
                                const Left& unweighted) {
    std::vector<std::int64_t> starts;
    for (std::int64_t chunk = 0; chunk <= rows.n_chunks; ++chunk) starts.push_back(rows.first_row(chunk));
    std::vector<float> weights(static_cast<std::size_t>(rows.count()), 1.0f);
    const RowTablePtr ones = backend().lay_out(starts, weights);
    const Left same = run(operation, Rows::of(*ones), 0, cols);
    EXPECT_TRUE(same.operand == unweighted.operand && same.plain == unweighted.plain);
    EXPECT_TRUE(same.squares == unweighted.squares && same.sums == unweighted.sums) << "weights of 1";
    for (std::size_t r = 0; r < weights.size(); ++r) weights[r] = static_cast<float>((5 * r + r / 7) % 3);
    const RowTablePtr table = backend().lay_out(starts, weights);
    const Left found = run(operation, Rows::of(*table), 0, cols);
    EXPECT_TRUE(found.operand == unweighted.operand && found.plain == unweighted.plain);
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
        for (std::int64_t c = 0; c < cols; ++c) {
            double squares = 0, sum = 0, magnitudes = 0;
            for (std::int64_t r = rows.first_row(chunk); r < rows.first_row(chunk + 1); ++r) {
                const double x =
                    static_cast<double>(unweighted.plain[static_cast<std::size_t>(r * cols + c)]);
                const double weight = static_cast<double>(weights[static_cast<std::size_t>(r)]);
                squares += weight * x * x;
                sum += weight * x;
                magnitudes += weight * std::abs(x);
            }
            // Weights of 0, 1 and 2 scale exactly: the bound is that of sums without weights.
            const double steps = static_cast<double>(rows.chunk_tokens + 2) * 0x1p-24;
            const auto at = static_cast<std::size_t>(chunk * cols + c);
            EXPECT_NEAR(found.squares[at], squares, squares * steps) << "chunk " << chunk << " column " << c;
            EXPECT_NEAR(found.sums[at], sum, magnitudes * steps) << "chunk " << chunk << " column " << c;
            if (testing::Test::HasFailure()) return;
        }
}

void expect_near(const reference::Matrix& a, const reference::Matrix& b,
                 const std::function<double(std::int64_t, std::int64_t)>& tolerance) {
    ASSERT_EQ(a.rows, b.rows);
    ASSERT_EQ(a.cols, b.cols);
    for (std::int64_t r = 0; r < a.rows; ++r)
        for (std::int64_t c = 0; c < a.cols; ++c) {
            const double allowed = tolerance(r, c);
            // Not EXPECT_NEAR alone: NaN must fail too.
            ASSERT_TRUE(std::abs(a.at(r, c) - b.at(r, c)) <= allowed)
                << "row " << r << " column " << c << ": " << a.at(r, c) << " and " << b.at(r, c)
                << ", allowed " << allowed;
        }
}

}  // namespace assay::backend
