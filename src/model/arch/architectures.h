// One function per family, each writing a program from metadata and checking every tensor's shape.
#pragma once

#include "model/decoder.h"

namespace assay::model {

using BuildFunction = void (*)(Builder& b);

/// Latent attention with YaRN as deepseek2 has it.
MlaBlock deepseek_attention(Builder& b, double log_numerator);
MlaBlock deepseek_attention(Builder& b);

void build_afmoe(Builder& b);
void build_apertus(Builder& b);
void build_arcee(Builder& b);
void build_arwkv7(Builder& b);
void build_baichuan(Builder& b);
void build_bailingmoe(Builder& b);
void build_bailingmoe2(Builder& b);
void build_bailingmoe3(Builder& b);
void build_bitnet(Builder& b);
void build_bloom(Builder& b);
void build_chatglm(Builder& b);
void build_codeshell(Builder& b);
void build_cohere2(Builder& b);
void build_command_r(Builder& b);
void build_dbrx(Builder& b);
void build_deepseek(Builder& b);
void build_deepseek2(Builder& b);
void build_deepseek32(Builder& b);
void build_deepseek4(Builder& b);
void build_dots1(Builder& b);
void build_dots3note(Builder& b);
void build_dream(Builder& b);
void build_ernie4_5(Builder& b);
void build_exaone(Builder& b);
void build_exaone4(Builder& b);
void build_exaone_moe(Builder& b);
void build_falcon(Builder& b);
void build_falcon_h1(Builder& b);
void build_gemma(Builder& b);
void build_gemma2(Builder& b);
void build_gemma3(Builder& b);
void build_glm4(Builder& b);
void build_glm4moe(Builder& b);
void build_glm5_next(Builder& b);
void build_glm_dsa(Builder& b);
void build_gpt2(Builder& b);
void build_gpt_oss(Builder& b);
void build_gptneox(Builder& b);
void build_granite(Builder& b);
void build_granite_swa(Builder& b);
void build_granitehybrid(Builder& b);
void build_hunyuan_dense(Builder& b);
void build_hunyuan_moe(Builder& b);
void build_hy_v3(Builder& b);
void build_hy_v4(Builder& b);
void build_internlm2(Builder& b);
void build_jais(Builder& b);
void build_jais2(Builder& b);
void build_jamba(Builder& b);
void build_kimi_k3(Builder& b);
void build_kimi_linear(Builder& b);
void build_lfm2(Builder& b);
void build_llada(Builder& b);
void build_llada_moe(Builder& b);
void build_llama(Builder& b);
void build_maincoder(Builder& b);
void build_mamba(Builder& b);
void build_mamba2(Builder& b);
void build_maple(Builder& b);
void build_mellum(Builder& b);
void build_minicpm(Builder& b);
void build_minimax_01(Builder& b);
void build_minimax_m2(Builder& b);
void build_mistral3(Builder& b);
void build_mistral4(Builder& b);
void build_mpt(Builder& b);
void build_muse_glimmer(Builder& b);
void build_nemotron(Builder& b);
void build_nemotron_h(Builder& b);
void build_olmo(Builder& b);
void build_olmo2(Builder& b);
void build_olmoe(Builder& b);
void build_openelm(Builder& b);
void build_orion(Builder& b);
void build_pangu(Builder& b);
void build_phi2(Builder& b);
void build_phi3(Builder& b);
void build_phimoe(Builder& b);
void build_plamo(Builder& b);
void build_plamo2(Builder& b);
void build_plamo3(Builder& b);
void build_qwen(Builder& b);
void build_qwen2(Builder& b);
void build_qwen2moe(Builder& b);
void build_qwen2vl(Builder& b);
void build_qwen3(Builder& b);
void build_qwen35(Builder& b);
void build_qwen35moe(Builder& b);
void build_qwen3moe(Builder& b);
void build_qwen3next(Builder& b);
void build_qwen3vl(Builder& b);
void build_qwen3vlmoe(Builder& b);
void build_refact(Builder& b);
void build_rnd1(Builder& b);
void build_rwkv6(Builder& b);
void build_rwkv6qwen2(Builder& b);
void build_rwkv7(Builder& b);
void build_seed_oss(Builder& b);
void build_smollm3(Builder& b);
void build_spark2_5(Builder& b);
void build_stablelm(Builder& b);
void build_starcoder2(Builder& b);

}  // namespace assay::model
