# What `cmake --install` brings besides the program, and the Debian package: `cpack -G DEB` in the build folder
# writes assay_<version>_<arch>.deb, its dependencies found from the program's libraries.
install(FILES data/calibration.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/assay)

set(CPACK_PACKAGE_NAME assay)
set(CPACK_PACKAGE_CONTACT "assay contributors <assay@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS python3-jinja2)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Reads a language model in GGUF form and a calibration text, and writes for every weight matrix how much\n\
 energy each input column carried. Quantisers use that file to spend few bits where they matter.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
