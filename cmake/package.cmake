# `cpack -G DEB` in the build folder writes assay_<version>_<arch>.deb.
set(CPACK_PACKAGE_NAME assay)
set(CPACK_PACKAGE_CONTACT "assay developers <assay@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
