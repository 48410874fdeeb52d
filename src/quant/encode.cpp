#include "quant/encode.h"

#include "quant/encoders.h"

namespace assay::quant {

EncodeRow find_encoder(TypeId id) noexcept {
    switch (id) {
        case TypeId::F32: return encode_f32;
        case TypeId::F16: return encode_f16;
        case TypeId::BF16: return encode_bf16;
        case TypeId::Q4_0: return encode_q4_0;
        case TypeId::Q4_1: return encode_q4_1;
        case TypeId::Q5_0: return encode_q5_0;
        case TypeId::Q5_1: return encode_q5_1;
        case TypeId::Q8_0: return encode_q8_0;
        case TypeId::Q2_K: return encode_q2_k;
        case TypeId::Q3_K: return encode_q3_k;
        case TypeId::Q4_K: return encode_q4_k;
        case TypeId::Q5_K: return encode_q5_k;
        case TypeId::Q6_K: return encode_q6_k;
        case TypeId::IQ4_NL: return encode_iq4_nl;
        case TypeId::IQ4_XS: return encode_iq4_xs;
        default: return nullptr;
    }
}

}  // namespace assay::quant
