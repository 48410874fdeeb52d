// Decoding of ik_llama.cpp's types: each struct decodes on the host too, so both give the same bits.
#include "backend/cuda/decode_kernel.cuh"
#include "quant/interleaved_iq_blocks.h"

namespace assay::backend::cuda {

void refuse_type(quant::TypeId type);

void decode_ik(quant::TypeId type, const Codebooks& books, const DecodeArgs& args, cudaStream_t stream) {
    using quant::TypeId;
    switch (type) {
        case TypeId::Q6_0: return launch<quant::Q6_0>(books, args, stream);
        case TypeId::IQ1_BN: return launch<quant::Iq1Bn>(books, args, stream);
        case TypeId::IQ2_BN: return launch<quant::Iq2Bn>(books, args, stream);
        case TypeId::IQ2_K: return launch<quant::Iq2K>(books, args, stream);
        case TypeId::IQ3_K: return launch<quant::Iq3K>(books, args, stream);
        case TypeId::IQ4_K: return launch<quant::Iq4K>(books, args, stream);
        case TypeId::IQ5_K: return launch<quant::Iq5K>(books, args, stream);
        case TypeId::IQ6_K: return launch<quant::Iq6K>(books, args, stream);
        case TypeId::IQ4_KS: return launch<quant::Iq4Ks>(books, args, stream);
        case TypeId::IQ2_KS: return launch<quant::Iq2Ks>(books, args, stream);
        case TypeId::IQ4_KSS: return launch<quant::Iq4Kss>(books, args, stream);
        case TypeId::Q8_KV: return launch<quant::Q8Kv>(books, args, stream);
        case TypeId::IQ5_KS: return launch<quant::Iq5Ks>(books, args, stream);
        case TypeId::IQ2_KT: return launch<quant::Iq2Kt>(books, args, stream);
        case TypeId::IQ3_KT: return launch<quant::Iq3Kt>(books, args, stream);
        case TypeId::IQ4_KT: return launch<quant::Iq4Kt>(books, args, stream);
        case TypeId::IQ3_KS: return launch<quant::Iq3Ks>(books, args, stream);
        case TypeId::IQ2_KL: return launch<quant::Iq2Kl>(books, args, stream);
        case TypeId::IQ1_KT: return launch<quant::Iq1Kt>(books, args, stream);
        case TypeId::Q4_0_R8: return launch<quant::Q4_0R8>(books, args, stream);
        case TypeId::Q5_0_R4: return launch<quant::Q5_0R4>(books, args, stream);
        case TypeId::Q8_0_R8: return launch<quant::Q8_0R8>(books, args, stream);
        case TypeId::Q2_K_R4: return launch<quant::Q2KR4>(books, args, stream);
        case TypeId::Q3_K_R4: return launch<quant::Q3KR4>(books, args, stream);
        case TypeId::Q4_K_R4: return launch<quant::Q4KR4>(books, args, stream);
        case TypeId::Q5_K_R4: return launch<quant::Q5KR4>(books, args, stream);
        case TypeId::Q6_K_R4: return launch<quant::Q6KR4>(books, args, stream);
        case TypeId::IQ2_XXS_R4: return launch<quant::Iq2XxsR4>(books, args, stream);
        case TypeId::IQ2_XS_R4: return launch<quant::Iq2XsR4>(books, args, stream);
        case TypeId::IQ3_XXS_R4: return launch<quant::Iq3XxsR4>(books, args, stream);
        case TypeId::IQ1_S_R4: return launch<quant::Iq1SR4>(books, args, stream);
        case TypeId::IQ4_NL_R4: return launch<quant::Iq4NlR4>(books, args, stream);
        case TypeId::IQ3_S_R4: return launch<quant::Iq3SR4>(books, args, stream);
        case TypeId::IQ2_S_R4: return launch<quant::Iq2SR4>(books, args, stream);
        case TypeId::IQ4_XS_R8: return launch<quant::Iq4XsR8>(books, args, stream);
        case TypeId::IQ1_M_R4: return launch<quant::Iq1MR4>(books, args, stream);
        case TypeId::BF16_R16: return launch<quant::Bf16R16>(books, args, stream);
        case TypeId::Q6_0_R4: return launch<quant::Q6_0R4>(books, args, stream);
        case TypeId::IQ2_BN_R4: return launch<quant::Iq2BnR4>(books, args, stream);
        case TypeId::IQ2_K_R4: return launch<quant::Iq2KR4>(books, args, stream);
        case TypeId::IQ3_K_R4: return launch<quant::Iq3KR4>(books, args, stream);
        case TypeId::IQ4_K_R4: return launch<quant::Iq4KR4>(books, args, stream);
        case TypeId::IQ5_K_R4: return launch<quant::Iq5KR4>(books, args, stream);
        case TypeId::IQ4_KS_R4: return launch<quant::Iq4KsR4>(books, args, stream);
        case TypeId::IQ5_KS_R4: return launch<quant::Iq5KsR4>(books, args, stream);
        case TypeId::MXFP4_R8: return launch<quant::Mxfp4R8>(books, args, stream);
        case TypeId::Q8_K_R16: return launch<quant::Q8KR16>(books, args, stream);
        case TypeId::Q8_KV_R8: return launch<quant::Q8KvR8>(books, args, stream);
        case TypeId::Q8_K_R8: return launch<quant::Q8KR8>(books, args, stream);
        default: refuse_type(type);
    }
}

}  // namespace assay::backend::cuda
