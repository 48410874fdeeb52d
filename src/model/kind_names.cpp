#include "model/kind_names.h"

#include <fmt/format.h>

namespace assay::model {

const char* name_of(Activation activation) {
    switch (activation) {
        case Activation::Identity: return "identity";
        case Activation::Silu: return "silu";
        case Activation::Gelu: return "gelu";
        case Activation::Relu: return "relu";
        case Activation::Relu2: return "relu squared";
        case Activation::Sigmoid: return "sigmoid";
        case Activation::Tanh: return "tanh";
        case Activation::Exp: return "exp";
        case Activation::Softplus: return "softplus";
        case Activation::Log2OnePlusExp2: return "log2(1 + 2^x)";
        case Activation::SignedRoot: return "signed root";
    }
    return "?";
}

const char* name_of(NormKind kind) {
    switch (kind) {
        case NormKind::None: return "no";
        case NormKind::Rms: return "rms";
        case NormKind::Layer: return "layer";
        case NormKind::L2: return "l2";
        case NormKind::L2Max: return "l2, at least eps,";
    }
    return "?";
}

const char* name_of(Reduction reduction) {
    switch (reduction) {
        case Reduction::Sum: return "sum";
        case Reduction::Mean: return "mean";
        case Reduction::Length: return "length";
        case Reduction::Deviation: return "deviation";
    }
    return "?";
}

const char* name_of(Gating gating) {
    switch (gating) {
        case Gating::Softmax: return "softmax";
        case Gating::Sigmoid: return "sigmoid";
        case Gating::SoftmaxSelected: return "softmax of the chosen";
        case Gating::SqrtSoftplus: return "sqrt(softplus)";
    }
    return "?";
}

const char* name_of(Pairing pairing) {
    switch (pairing) {
        case Pairing::Adjacent: return "adjacent pairs";
        case Pairing::Halves: return "pairs of halves";
    }
    return "?";
}

const char* name_of(WindowKind kind) {
    switch (kind) {
        case WindowKind::Sliding: return "sliding";
        case WindowKind::Chunked: return "chunked";
        case WindowKind::Symmetric: return "symmetric";
    }
    return "?";
}

const char* name_of(ScanKind kind) {
    switch (kind) {
        case ScanKind::Gated: return "gated";
        case ScanKind::Delta: return "delta rule";
        case ScanKind::Bonus: return "with bonus";
        case ScanKind::Rank1: return "rank-1 transition";
    }
    return "?";
}

std::string describe(const GateFunction& function, bool gated) {
    switch (function.kind) {
        case GateKind::Activated:
            return gated ? fmt::format("{}(gate) * up", name_of(function.activation))
                         : fmt::format("{}(up)", name_of(function.activation));
        case GateKind::ClampedBefore: return fmt::format("silu(gate) * up, clamped by {}", function.limit);
        case GateKind::ClampedAfter:
            return fmt::format("silu(gate) * up, clamped by {} after silu", function.limit);
        case GateKind::SwigluOai:
            return fmt::format("gate * sigmoid({} gate) * (up + 1), clamped by {}", function.slope,
                               function.limit);
        case GateKind::Situ:
            return fmt::format("situ(gate, up), slope {}, limit {}", function.slope, function.limit);
    }
    return "?";
}

}  // namespace assay::model
