// Attention of one head over one block of queries, products in bf16 with f32 accumulation. Included by the
// kernels that have such products, in hardware or by bf16_widened.h, after `kDepthStep`, what the dimension
// of a head is padded to, and `UnitInUse`, which is alive while multiply() is called, and multiply():
//   c [rows, cols] f32 = a [rows, 2 * pairs] * b, cols a multiple of 2 * kLanes, rows at most kQueryBlock. a
//   and c have kQueryBlock rows; those behind `rows` may be read and written, and hold anything.
//
// The hardware multiplies pairs of neighbours along the summed dimension, so keys are packed as
// [n_keys_padded/kLanes][depth/2][kLanes][2] and values as [n_keys_padded/2][width][2], zeros in the padding.
#pragma once

namespace assay::backend::cpu {
namespace {

std::size_t packed_keys_bytes(std::int64_t n_keys_padded, std::int64_t head_dim) {
    return static_cast<std::size_t>(n_keys_padded * round_up(head_dim, kDepthStep)) * 2;
}

std::size_t packed_values_bytes(std::int64_t n_keys_padded, std::int64_t value_dim) {
    return static_cast<std::size_t>(n_keys_padded * padded_values(value_dim)) * 2;
}

void pack_keys(const float* k, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
               std::int64_t head_dim, void* out) {
    const std::int64_t pairs = round_up(head_dim, kDepthStep) / kPair;
    std::vector<std::uint32_t> row(static_cast<std::size_t>(pairs));  // zeros behind the head's dimension
    auto* packed = static_cast<std::uint32_t*>(out);
    std::memset(packed, 0, packed_keys_bytes(n_keys_padded, head_dim));
    for (std::int64_t key = 0; key < n_keys; ++key) {
        to_bf16(k + key * stride, head_dim, reinterpret_cast<std::uint16_t*>(row.data()));
        std::uint32_t* column = packed + key / kLanes * kLanes * pairs + key % kLanes;
        for (std::int64_t pair = 0; pair < pairs; ++pair)
            column[pair * kLanes] = row[static_cast<std::size_t>(pair)];
    }
}

void pack_values(const float* v, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
                 std::int64_t value_dim, void* out) {
    const std::int64_t width = padded_values(value_dim);
    auto* packed = static_cast<std::uint16_t*>(out);
    std::vector<std::uint16_t> rows(static_cast<std::size_t>(kPair * width));
    std::memset(packed, 0, packed_values_bytes(n_keys_padded, value_dim));
    for (std::int64_t key = 0; key < n_keys; key += kPair) {
        std::uint16_t* second = rows.data() + width;
        to_bf16(v + key * stride, value_dim, rows.data());
        if (key + 1 < n_keys)
            to_bf16(v + (key + 1) * stride, value_dim, second);
        else
            std::memset(second, 0, static_cast<std::size_t>(width) * 2);
        std::uint16_t* pair = packed + key * width;
        for (std::int64_t c = 0; c < value_dim; ++c) {
            pair[c * kPair] = rows[static_cast<std::size_t>(c)];
            pair[c * kPair + 1] = second[c];
        }
    }
}

std::size_t head_block_scratch(std::int64_t n_keys_padded, std::int64_t head_dim, std::int64_t value_dim) {
    const std::int64_t halves = n_keys_padded + round_up(head_dim, kDepthStep);
    return static_cast<std::size_t>(kQueryBlock * (n_keys_padded + padded_values(value_dim) + halves / 2));
}

void head_block(const HeadBlock& block) {
    const UnitInUse unit;
    const std::int64_t keys = block.n_keys_padded;
    const std::int64_t width = padded_values(block.value_dim);
    const std::int64_t depth = round_up(block.head_dim, kDepthStep);
    const auto [begin, end] = visible_pads(block);
    float* scores = block.scratch;
    float* result = scores + kQueryBlock * keys;
    auto* weights = reinterpret_cast<std::uint16_t*>(result + kQueryBlock * width);
    std::uint16_t* q = weights + kQueryBlock * keys;

    for (std::int64_t r = 0; r < block.n_queries; ++r) {
        to_bf16(block.q + r * block.q_stride, block.head_dim, q + r * depth);
        std::fill(q + r * depth + block.head_dim, q + (r + 1) * depth, std::uint16_t{0});
    }
    const Packed key_pairs{static_cast<const std::uint16_t*>(block.keys) + begin * depth, depth,
                           kLanes * kPair};
    multiply(q, depth, key_pairs, block.n_queries, end - begin, depth / kPair, scores + begin, keys);
    for (std::int64_t r = 0; r < block.n_queries; ++r) {
        softmax_row(block, block.first_query + r, scores + r * keys, end);
        to_bf16(scores + r * keys + begin, end - begin, weights + r * keys + begin);
    }
    const Packed value_pairs{static_cast<const std::uint16_t*>(block.values) + begin * width, kPair,
                             width * kPair};
    multiply(weights + begin, keys, value_pairs, block.n_queries, width, (end - begin) / kPair, result,
             width);
    for (std::int64_t r = 0; r < block.n_queries; ++r)
        std::memcpy(block.out + r * block.out_stride, result + r * width,
                    static_cast<std::size_t>(block.value_dim) * 4);
}

}  // namespace
}  // namespace assay::backend::cpu
