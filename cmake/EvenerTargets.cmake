# The targets in the build tree. Installed programs get the same ones from evenerConfig.cmake.

# What Rust's std needs of the system, beside libc (rustc --print native-static-libs).
set(EVENER_SYSTEM_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS} m)

function(evener_add_target name library)
  add_library(evener_${name} INTERFACE)
  add_library(evener::${name} ALIAS evener_${name})
  add_dependencies(evener_${name} evener_library)
  target_include_directories(evener_${name} INTERFACE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(evener_${name} INTERFACE ${library} ${ARGN})
endfunction()

evener_add_target(evener ${EVENER_STATIC_LIBRARY} ${EVENER_SYSTEM_LIBRARIES})
evener_add_target(shared ${EVENER_SHARED_LIBRARY} Threads::Threads)

function(evener_add_grpc_target)
  add_library(evener_grpc INTERFACE)
  add_library(evener::grpc ALIAS evener_grpc)
  target_compile_features(evener_grpc INTERFACE cxx_std_17)
  target_link_libraries(evener_grpc INTERFACE evener::evener gRPC::grpc++)
endfunction()
