# Installs leat for others: static libraries, all public headers in one include/leat, a CMake package with the
# components routing, storage, engine, sim and rocksdb, and a pkg-config file.
include(CMakePackageConfigHelpers)

install(TARGETS leat_routing leat_storage leat_engine leat_sim leat_rocksdb leat
  EXPORT leatTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET leat_tool)
  install(TARGETS leat_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set(LEAT_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/leat")
install(EXPORT leatTargets NAMESPACE leat:: DESTINATION "${LEAT_CMAKE_DIR}")
configure_package_config_file(cmake/leatConfig.cmake.in leatConfig.cmake
  INSTALL_DESTINATION "${LEAT_CMAKE_DIR}")
write_basic_package_version_file(leatConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/leatConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/leatConfigVersion.cmake"
  DESTINATION "${LEAT_CMAKE_DIR}")

# Sanitized archives need their runtime wherever they are linked.
set(LEAT_PC_SANITIZE "")
if(LEAT_SANITIZE)
  set(LEAT_PC_SANITIZE " -fsanitize=${LEAT_SANITIZE}")
endif()
# Relative to the file itself, so that the whole tree can be moved.
file(RELATIVE_PATH LEAT_PC_UP "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
set(LEAT_PC_PREFIX "\${pcfiledir}/${LEAT_PC_UP}")
configure_file(cmake/leat.pc.in leat.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/leat.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
