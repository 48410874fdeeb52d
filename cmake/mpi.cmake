# ASSAY_MPI: AUTO builds the module for several machines where MPI is found, ON insists, OFF leaves it out. The program is
# the same with and without it: the module is opened at run time.
set(ASSAY_MPI AUTO CACHE STRING "Module for MPI: AUTO, ON or OFF")
set_property(CACHE ASSAY_MPI PROPERTY STRINGS AUTO ON OFF)

set(ASSAY_HAS_MPI OFF)
if(NOT ASSAY_MPI STREQUAL "OFF")
    find_package(MPI QUIET COMPONENTS CXX)
    if(MPI_CXX_FOUND)
        set(ASSAY_HAS_MPI ON)
    elseif(ASSAY_MPI STREQUAL "ON")
        message(FATAL_ERROR "ASSAY_MPI is ON, but MPI was not found. On Debian:\n  apt-get install libopenmpi-dev openmpi-bin")
    endif()
endif()
message(STATUS "MPI module: ${ASSAY_HAS_MPI}")
