"""What a node of autograd's graph is to a rule: linear in the clip, a pooling, or else by its name.

The lists are of what is known to be linear, so that whatever is not on them has a name in the
report: an activation that is spelled in a new way is then said, and not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

CUT = "c3d_viz: cut"  # in a node's metadata: what it works with that follows the clip unseen
WRITTEN = "c3d_viz: written"  # in a node's metadata: what wrote into a part of the tensor
RULED = "_RuledReLU"  # the graph's name for a ReLU that goes back by a rule
# In all that they are given together: other places and sums.
_SUMS = """
    AccumulateGrad Add Alias AsStrided AsStridedScatter AvgPool2D AvgPool3D AdaptiveAvgPool2D
    AdaptiveAvgPool3D BlockDiag Cat ChannelShuffle Chunk Clone Col2Im Complex Conj ConjPhysical
    ConstantPadNd CopyBackwards Cumsum Deg2Rad DiagEmbed Diagonal DiagonalScatter Embedding Expand
    FftC2C FftC2R FftR2C Fill Flip Gather Im2Col Index IndexAdd IndexCopy IndexFill IndexSelect
    LazyClone Lift LiftFresh MaskedSelect MaxUnpool2D MaxUnpool3D Mean MkldnnAdaptiveAvgPool2D
    MkldnnReshape NanToNum Nansum NarrowCopy Neg NegView Permute PinMemory PixelShuffle
    PixelUnshuffle Put Rad2Deg ReflectionPad1D ReflectionPad2D ReflectionPad3D Repeat
    ReplicationPad1D ReplicationPad2D ReplicationPad3D ReshapeAlias ReshapeCopy Roll Rot90 Rsub
    Scatter ScatterAdd Select SelectScatter Slice SliceScatter Split SplitWithSizes Squeeze Stack
    Sub Sum T Take ToCopy ToDense ToMkldnn Trace Transpose Tril Triu Unbind Unfold UnsafeIndex
    UnsafeSplit UnsafeSplitWithSizes UnsafeView Unsqueeze UpsampleBicubic2D UpsampleBicubic2DAa
    UpsampleBilinear2D UpsampleBilinear2DAa UpsampleLanczos2DAa UpsampleLinear1D UpsampleNearest1D
    UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact1D UpsampleNearestExact2D
    UpsampleNearestExact3D UpsampleTrilinear3D View ViewAsComplex ViewAsReal Zero
    FusedDropout NativeDropout
"""
_NORMALISATIONS = """
    BatchNormNoUpdate BatchNormWithUpdate CudnnBatchNorm MiopenBatchNorm NativeBatchNorm
    NativeBatchNormLegit NativeBatchNormLegitNoTraining
"""
_PRODUCTS = """
    Bmm ConvDepthwise2D ConvDepthwise3D ConvTbc Convolution ConvolutionOverrideable
    CudnnConvolution CudnnConvolutionTranspose Dot GroupedMm Linear Matmul MiopenConvolution
    MiopenConvolutionTranspose MiopenDepthwiseConvolution MkldnnConvolution MkldnnLinear Mm
    MpsConvolution MpsConvolutionTranspose Mul Mv NnpackSpatialConvolution SlowConv2D SlowConv3D
    SlowConvDilated2D SlowConvDilated3D SlowConvTranspose2D SlowConvTranspose3D Vdot
"""
# Linear in each of their factors, which are these of what they are given; the rest is added.
_FACTORS: dict[str, slice] = {
    **dict.fromkeys(_SUMS.split(), slice(0, 0)),
    **dict.fromkeys((_NORMALISATIONS + _PRODUCTS).split(), slice(0, 2)),
    **dict.fromkeys(("Addbmm", "Addcmul", "Addmm", "Addmv", "Addr", "Baddbmm"), slice(1, 3)),
    "Trilinear": slice(0, 3),
}
# In all that they are given but this one.
_BUT = {
    "Div": 1, "GridSampler2D": 1, "GridSampler2DCpuFallback": 1, "GridSampler3D": 1,
    "CudnnGridSampler": 1, "Lerp": 2, "Xlogy": 1,
    "SpecialXlog1Py": 1,
}  # fmt: skip
_POOLINGS = {
    "AdaptiveMaxPool2D", "AdaptiveMaxPool3D", "MaxPool2D", "MaxPool2DWithIndices",
    "MaxPool3DWithIndices", "MkldnnMaxPool2D", "MkldnnMaxPool3D", "FractionalMaxPool2D",
    "FractionalMaxPool3D",
}  # fmt: skip
_MOVES = {
    "Alias", "Clone", "Permute", "ReshapeAlias", "Slice", "Squeeze", "Transpose", "UnsafeView",
    "Unsqueeze", "View",
}  # fmt: skip
_EXTREMA = {"Amax": "maximum", "Max": "maximum", "Amin": "minimum", "Min": "minimum"}
# By the name that people know, where it is another one than the graph's.
_NAMES = {
    **_EXTREMA,
    "Silu": "SiLU", "Gelu": "GELU", "Elu": "ELU", "Celu": "CELU", "LeakyRelu": "LeakyReLU",
    "PreluKernel": "PReLU", "RreluWithNoise": "RReLU", "Glu": "GLU", "LogSigmoid": "LogSigmoid",
    "Maximum": "maximum", "Minimum": "minimum", "Fmax": "maximum", "Fmin": "minimum",
    "Div": "division",
    "Clamp": "clamp", "ClampMin": "clamp", "ClampMax": "clamp", "MaskedFill": "masked_fill",
    "Sgn": "sign", "IndexPut": "masked assignment", "IndexPutImpl": "masked assignment",
    "Relu": "a ReLU inside compiled or scripted code", "Pow": "power", "Log1P": "log1p",
    "LinalgVectorNorm": "norm", "NativeLayerNorm": "LayerNorm", "NativeGroupNorm": "GroupNorm",
    "FusedRmsNorm": "RMSNorm", "SafeSoftmax": "Softmax", "MaskedSoftmax": "Softmax",
    "Std": "standard deviation", "StdMean": "standard deviation", "Var": "variance",
    "VarMean": "variance", "MkldnnRnnLayer": "recurrence", "CudnnRnn": "recurrence",
    "ThnnFusedLstmCell": "recurrence", "ThnnFusedGruCell": "recurrence",
    "ScaledDotProductFlashAttention": "attention", "ScaledDotProductCudnnAttention": "attention",
    "ScaledDotProductFlashAttentionForCpu": "attention", "FlashAttention": "attention",
    "ScaledDotProductEfficientAttention": "attention", "EfficientAttention": "attention",
    "CudnnAttention": "attention",
}  # fmt: skip
# Named as a class is: what PyTorch has a module of.
_MODULES = {
    "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LogSoftmax", "Mish", "Sigmoid",
    "Softmax", "Softplus", "Softshrink", "Tanh", "Threshold",
}  # fmt: skip
_PLAIN_FUNCTIONS = {RULED, "CheckpointFunction"}
_WRITES = {"copy_", "add_", "sub_", "subtract_", "zero_", "fill_", "neg_", "negative_"}
_WRITES |= {"__setitem__", "__iadd__", "__isub__", "requires_grad_", "index_add_"}
_WRITES |= {"index_copy_", "index_fill_", "scatter_", "scatter_add_"}
_MUL_WRITES = {"mul_", "multiply_", "__imul__"}
_DIV_WRITES = {"div_", "divide_", "true_divide_", "__itruediv__"}


def stem(node: Node) -> str:
    """A node's name without its ending, as "Mul" of MulBackward0."""
    return re.sub(r"Backward\d*(_copy)?$", "", node.name().removeprefix("torch::autograd::"))


def nonlinearity(node: Any, live: Collection[Node], way: Collection[Node]) -> str | None:
    """What a node is called if a rule has nothing to say of it; None where it is linear or pools.

    Args:
        node: of the graph.
        live: the nodes from which a gradient comes to the clip.
        way: those from which a path leads there, with steps (sign, floor) on it or not.
    """
    kind = stem(node)
    if isinstance(node, BackwardCFunction):
        return None if kind in _PLAIN_FUNCTIONS else f"{kind} (an autograd function of its own)"
    edges = [below for below, _ in node.next_functions]
    cut: str | None = node.metadata.get(CUT)
    if kind == "CopySlices":
        return _written(node, edges, live) or cut
    if kind in _FACTORS or kind in _BUT:
        if getattr(node, "_saved_training", False) and kind not in _SUMS:
            return "normalisation by its own statistics"
        return _of_several(kind, edges, live) or cut
    if kind in _POOLINGS:
        return _NAMES["Max"] if _has_constants(edges, way) else cut
    if kind in _EXTREMA and _pools(node) and not _has_constants(edges, way):
        return cut
    if kind == "Pow" and getattr(node, "_saved_exponent", None) == 1:
        return cut
    if kind == "Elu" and node._saved_scale != 1:
        return "SELU"
    if kind in _NAMES or kind in _MODULES:
        return _NAMES.get(kind, kind)
    return kind if "::" in kind else kind.lower()


def _of_several(kind: str, edges: Sequence[Node | None], live: Collection[Node]) -> str | None:
    """What a product or quotient is called that more than one activation takes part in."""
    if kind in _BUT:
        bent = edges[_BUT[kind] : _BUT[kind] + 1]
        return (
            f"{_NAMES.get(kind, kind.lower())} by activations"
            if any(e in live for e in bent)
            else None
        )
    factors = [edge for edge in edges[_FACTORS[kind]] if edge in live]
    return "product of activations" if len(factors) > 1 else None


def _written(node: Any, edges: Sequence[Node | None], live: Collection[Node]) -> str | None:
    """The same of what was written into a part of a tensor, where the graph keeps no name of it."""
    wrote: str = node.metadata.get(WRITTEN, "copy_")
    if wrote in _WRITES:
        return None
    kind = "Mul" if wrote in _MUL_WRITES else "Div" if wrote in _DIV_WRITES else None
    return wrote.strip("_") if kind is None else _of_several(kind, edges, live)


def _has_constants(edges: Sequence[Node | None], way: Collection[Node]) -> bool:
    """Whether the largest is sought among activations put beside what does not follow the clip."""
    (below,), moved = edges, False
    while below is not None and stem(below) in _MOVES:
        (below, _), *_ = below.next_functions
        moved = True
    if below is None or stem(below) not in ("Stack", "Cat"):
        return False
    joined: Any = below
    rank = len(joined._input_metadata[0].shape)
    if stem(below) == "Cat" and not moved and rank > 2 and _axis(joined._saved_dim, rank) < 2:
        return False  # in channels of their own
    return any(edge not in way for edge, _ in below.next_functions)


def _axis(dim: int, rank: int) -> int:
    """An axis counted from the first; the graph keeps negative ones as 64 bits without a sign."""
    return (dim - 2**64 if dim >= 2**63 else dim) % rank


def _pools(node: Any) -> bool:
    """Whether an extremum is sought over places of each channel, as a pooling does."""
    dims = getattr(node, "_saved_dim", ())
    dims = (dims,) if isinstance(dims, int) else dims
    rank = len(node._input_metadata[0].shape)
    rank += 0 if getattr(node, "_saved_keepdim", False) else len(dims)
    places = [_axis(dim, rank) for dim in dims] if rank else []
    return 3 <= rank <= 5 and bool(places) and min(places) >= 2
