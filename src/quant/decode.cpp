#include "quant/decode.h"

#include "quant/simd_decoders.h"

namespace assay::quant {

DecodeRows decoder(TypeId id, Isa isa) {
    DecodeRows fast = nullptr;
#if defined(__x86_64__)
    if (isa >= Isa::Avx512)
        fast = find_avx512_decoder(id);
    else if (isa == Isa::Avx2)
        fast = find_avx2_decoder(id);
#endif
    return fast != nullptr ? fast : type_info(id).decode;
}

}  // namespace assay::quant
