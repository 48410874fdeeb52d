# The three kinds of target: a room (one static library per folder of src), a test, a kernel file with its own
# instruction set.

# assay_options(TARGET): warnings and sanitizers, the same for every target.
function(assay_options target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wcast-align)
    if(ASSAY_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(ASSAY_SANITIZE)
        # A finding ends the program: of undefined behaviour the sanitizer would else print a line, and the test pass.
        target_compile_options(${target} PRIVATE -fsanitize=${ASSAY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=${ASSAY_SANITIZE})
        # thread and address exclude each other; the compiler says so at the first file.
    endif()
endfunction()

# Half of a compilation is reading these; assay_core reads them once for all rooms. Tests go without (g++ 12 then warns of
# what libstdc++ itself does), and so does the fuzz preset, which shows a file that leans on this list.
set(ASSAY_HEADERS <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span>
                  <string> <string_view> <vector> <fmt/format.h>)

# assay_room(NAME SOURCES a.cpp ... DEPS other_room ... LIBS X::X ...)
function(assay_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;DEPS;LIBS" ${ARGN})
    add_library(assay_${name} STATIC ${ROOM_SOURCES})
    target_include_directories(assay_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    list(TRANSFORM ROOM_DEPS PREPEND assay_)
    target_link_libraries(assay_${name} PUBLIC ${ROOM_DEPS} fmt::fmt PRIVATE ${ROOM_LIBS})
    assay_options(assay_${name})
    if(ASSAY_COVERAGE)
        # Optimised code has branches that its source has not, but products and decoders must end within a day.
        target_compile_options(assay_${name} PRIVATE --coverage -fprofile-update=atomic)
        target_link_options(assay_${name} INTERFACE --coverage)
        if(NOT name MATCHES "^(backend|quant)$")
            target_compile_options(assay_${name} PRIVATE -O0)
        endif()
    endif()
    if(name STREQUAL core)
        target_precompile_headers(assay_core PRIVATE ${ASSAY_HEADERS})
    else()
        target_precompile_headers(assay_${name} REUSE_FROM assay_core)
    endif()
endfunction()

# assay_isa(avx512 FILES...): compiles these files for one instruction set; they are called only after a run-time check.
function(assay_isa isa)
    set(flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
    set(flags_avx512 ${flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
    set(flags_avx512bf16 ${flags_avx512} -mavx512bf16)
    set(flags_amx ${flags_avx512bf16} -mamx-tile -mamx-bf16)
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${flags_${isa}};-ffp-contract=off;-fno-math-errno;-fno-trapping-math"
                                                 SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# assay_test(ROOM SOURCES a_test.cpp ... DEPS room ... LIBS X ...): one binary per room, one ctest entry per case.
function(assay_test room)
    cmake_parse_arguments(TEST "" "" "SOURCES;DEPS;LIBS" ${ARGN})
    add_executable(${room}_test ${TEST_SOURCES})
    list(TRANSFORM TEST_DEPS PREPEND assay_)
    target_include_directories(${room}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${room}_test PRIVATE ${TEST_DEPS} ${TEST_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(${room}_test PRIVATE ASSAY_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
                                                    ASSAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    assay_options(${room}_test)
    target_compile_options(${room}_test PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)  # what takes time is in the rooms
    gtest_discover_tests(${room}_test TEST_PREFIX "${room}." PROPERTIES LABELS unit DISCOVERY_TIMEOUT 60)
endfunction()
