"""What makes the task's tensors of a foreign graph's raw outputs: one file a family, each a torch module.

The same module runs in torch beside the untouched graph, as the certificate's reference, and as ONNX behind it.
"""
