"""The process in which a user's own code runs; `build_engines.sources.external` starts it and asks it.

Nothing here or in what it imports may import timm, transformers or torchvision before the user's code does: whichever
of them lies in the user's folder is the one that the code was written for.
"""
