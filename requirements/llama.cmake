# Read right after project("llama.cpp"); docs/adr/0001 and 0007 say why. No source is patched.

# Leaves out llama.cpp's "common" library (command-line and server support, an HTTP client among it), which the Python
# bindings never load but always compile.
set(LLAMA_BUILD_COMMON OFF)

# Messages of failed assertions name source files, and the linker's build id is made of paths too: without the folder in
# which this build happened to run, two builds give the same bytes.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
add_link_options(-Wl,--build-id=none)

# This file goes into the wheel: pip's cache tells neither options nor recipe apart, and whoever installs can compare.
install(FILES ${CMAKE_CURRENT_LIST_FILE} DESTINATION llama_cpp/lib RENAME recipe.cmake)

# Of the 14 variants of the x86 backend that upstream builds (6 minutes on 2 cores) four cover what hospitals run: any
# 64-bit x86; AVX2 (since 2013, also Zen and Hygon); AVX-512 (since 2017); AVX-512 with VNNI (since 2019, also Zen 4).
# GGML_CPU_ALL_VARIANTS is read just before upstream adds its variants; whoever reads it gets the function below in
# place of upstream's, which CMake keeps under its name with an underscore.
set(MLB_X86_VARIANTS x64 haswell skylakex icelake)
function(mlb_take_variants)
    if(GGML_SYSTEM_ARCH STREQUAL "x86" AND COMMAND ggml_add_cpu_backend_variant
       AND NOT COMMAND _ggml_add_cpu_backend_variant)
        function(ggml_add_cpu_backend_variant tag_name)
            if(tag_name IN_LIST MLB_X86_VARIANTS)
                _ggml_add_cpu_backend_variant(${tag_name} ${ARGN})
            endif()
        endfunction()
    endif()
endfunction()
variable_watch(GGML_CPU_ALL_VARIANTS mlb_take_variants)
