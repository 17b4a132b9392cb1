# cmake --install: both libraries, the headers, evenerConfig.cmake for find_package and evener.pc for pkg-config.
include(CMakePackageConfigHelpers)

set(evener_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/evener)

install(FILES ${EVENER_STATIC_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(PROGRAMS ${EVENER_SHARED_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${EVENER_LIB_DIR}/libevener.so DESTINATION ${CMAKE_INSTALL_LIBDIR}) # a symbolic link, kept as one
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} 
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp" PATTERN "tests" EXCLUDE)

configure_package_config_file(cmake/evenerConfig.cmake.in ${PROJECT_BINARY_DIR}/evenerConfig.cmake
  INSTALL_DESTINATION ${evener_cmake_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/evenerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/evenerConfig.cmake ${PROJECT_BINARY_DIR}/evenerConfigVersion.cmake
  DESTINATION ${evener_cmake_dir})

# pkg-config: a prefix that follows the file, so that an installed tree may be moved.
file(RELATIVE_PATH evener_pc_prefix /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
configure_file(cmake/evener.pc.in ${PROJECT_BINARY_DIR}/evener.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/evener.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
