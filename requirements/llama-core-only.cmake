# Read right after project("llama.cpp"): leaves out llama.cpp's "common" library (command-line and server
# support, an HTTP client among it), which the Python bindings never load but always compile.
set(LLAMA_BUILD_COMMON OFF)
