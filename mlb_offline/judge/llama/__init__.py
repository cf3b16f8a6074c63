"""Judging with any GGUF model under llama.cpp's low-level interface."""
