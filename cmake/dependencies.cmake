# What the build needs of the system, each with the Debian package that brings it (scripts/lib.sh installs them).
# Everything is looked for before anything is said, so that one message names all that is missing. A library is
# found by its header and its file where its own CMake package asks for more: oneDNN's wants OpenCL's headers.

# assay_find(PACKAGE NAME): find_package(NAME).
macro(assay_find package name)
    find_package(${name} QUIET)
    if(NOT ${name}_FOUND)
        list(APPEND ASSAY_MISSING ${package})
    endif()
endmacro()

# assay_find_library(PACKAGE TARGET HEADER LIBRARY): TARGET is the library with its header's folder.
macro(assay_find_library package target header library)
    find_path(ASSAY_${library}_INCLUDE_DIR ${header})
    find_library(ASSAY_${library}_LIBRARY ${library})
    mark_as_advanced(ASSAY_${library}_INCLUDE_DIR ASSAY_${library}_LIBRARY)
    if(ASSAY_${library}_INCLUDE_DIR AND ASSAY_${library}_LIBRARY)
        add_library(${target} UNKNOWN IMPORTED)
        set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${ASSAY_${library}_LIBRARY}
                                                   INTERFACE_INCLUDE_DIRECTORIES ${ASSAY_${library}_INCLUDE_DIR})
    else()
        list(APPEND ASSAY_MISSING ${package})
    endif()
endmacro()

set(ASSAY_MISSING)
find_package(Threads REQUIRED)
assay_find(libomp-dev OpenMP)  # g++ has it within
assay_find(libfmt-dev fmt)
assay_find(nlohmann-json3-dev nlohmann_json)
assay_find_library(libdnnl-dev DNNL::dnnl dnnl.hpp dnnl)
assay_find_library(libpcre2-dev PCRE2::8BIT pcre2.h pcre2-8)
assay_find_library(libutf8proc-dev utf8proc::utf8proc utf8proc.h utf8proc)
assay_find_library(libxxhash-dev xxHash::xxhash xxhash.h xxhash)
find_file(ASSAY_CHART_JS NAMES chart.min.js chart.umd.js NO_DEFAULT_PATH
    PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
    DOC "Chart.js 3 or later, minified, to be embedded in report pages")
if(NOT ASSAY_CHART_JS)
    list(APPEND ASSAY_MISSING libjs-chart.js)
endif()
if(ASSAY_TESTS)
    assay_find(libgtest-dev GTest)
    if(NOT TARGET GTest::gmock)
        list(APPEND ASSAY_MISSING libgmock-dev)  # only recommended by the other
    endif()
endif()
if(ASSAY_BENCH)
    assay_find(libbenchmark-dev benchmark)
endif()

if(ASSAY_MISSING)
    list(JOIN ASSAY_MISSING " " packages)
    message(FATAL_ERROR "Libraries are missing. On Debian:\n  apt-get install ${packages}\n"
                        "Elsewhere, name their folders in CMAKE_PREFIX_PATH, and Chart.js in ASSAY_CHART_JS.")
endif()
