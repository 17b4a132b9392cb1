# Has cargo build the library (or takes what EVENER_LIBRARY_DIR holds) and puts it, under the names programs look for, in
# EVENER_LIB_DIR. The target evener_library is up to date when both files are.

set(EVENER_LIB_DIR ${PROJECT_BINARY_DIR}/lib)
set(EVENER_STATIC_LIBRARY ${EVENER_LIB_DIR}/libevener.a)
set(EVENER_SHARED_LIBRARY ${EVENER_LIB_DIR}/libevener.so.${EVENER_SOVERSION})
file(MAKE_DIRECTORY ${EVENER_LIB_DIR})

if(EVENER_LIBRARY_DIR)
  set(evener_built ${EVENER_LIBRARY_DIR})
  add_custom_target(evener_cargo)
else()
  find_program(EVENER_CARGO cargo REQUIRED)
  set(evener_built ${PROJECT_BINARY_DIR}/cargo/release)
  # Always asked: only cargo knows whether something has changed.
  add_custom_target(evener_cargo
    COMMAND ${EVENER_CARGO} build --release --locked --package evener-ffi --target-dir ${PROJECT_BINARY_DIR}/cargo
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    BYPRODUCTS ${evener_built}/libevener.a ${evener_built}/libevener.so
    COMMENT "cargo: libevener"
    VERBATIM)
endif()

add_custom_target(evener_library ALL
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${evener_built}/libevener.a ${EVENER_STATIC_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -E copy_if_different ${evener_built}/libevener.so ${EVENER_SHARED_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -E create_symlink libevener.so.${EVENER_SOVERSION} ${EVENER_LIB_DIR}/libevener.so
  BYPRODUCTS ${EVENER_STATIC_LIBRARY} ${EVENER_SHARED_LIBRARY} ${EVENER_LIB_DIR}/libevener.so
  DEPENDS evener_cargo
  COMMENT "libevener"
  VERBATIM)
