"""Multi-head softmax attention, over all positions and inside windows."""

from supernet.ops.attention.partition import MAX_LOG_SCALE, PartitionAttention
from supernet.ops.attention.rotary import HEAD_DIM, rotary_attention

__all__ = ["HEAD_DIM", "MAX_LOG_SCALE", "PartitionAttention", "rotary_attention"]
