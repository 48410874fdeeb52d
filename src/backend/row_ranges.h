// The arguments of an operation for some of its rows.
#pragma once

#include "backend/backend.h"

namespace assay::backend {

namespace detail {

inline void narrow_rows(std::int64_t first, std::int64_t n, std::initializer_list<View*> views) {
    for (View* view : views)
        if (view->present()) *view = view->row_range(first, n);
}

}  // namespace detail

/// Rows [first, first + n) of what is there.
inline AttentionArgs rows_of(AttentionArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.q, &args.k, &args.v, &args.block_k, &args.block_v, &args.chosen});
    return args;
}
inline ConvolveArgs rows_of(ConvolveArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.x});
    return args;
}
inline PoolArgs rows_of(PoolArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.x, &args.gate});
    return args;
}
inline SelectArgs rows_of(SelectArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.q, &args.k, &args.weights});
    return args;
}
inline ScanArgs rows_of(ScanArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.q, &args.k, &args.v, &args.decay, &args.beta, &args.a, &args.b});
    return args;
}
inline SelectiveScanArgs rows_of(SelectiveScanArgs args, std::int64_t first, std::int64_t n) {
    detail::narrow_rows(first, n, {&args.x, &args.dt, &args.b, &args.c});
    return args;
}

}  // namespace assay::backend
