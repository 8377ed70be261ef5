# leat_module(NAME HEADERS ... SOURCES ... [PUBLIC targets...] [PRIVATE targets...])
#
# One layer of the house as the static library leat_NAME (leat::NAME). Header-only PRIVATE targets end with the
# build: who links the installed library needs none of them. Its public headers are a header file set
# under NAME/include; the target leat_NAME_internal opens the folder itself to the module's own tests and
# benchmarks (build tree only).
function(leat_module name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target leat_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(leat::${name} ALIAS ${target})
  list(TRANSFORM ARG_HEADERS PREPEND include/leat/)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${ARG_HEADERS})
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC})
  foreach(private IN LISTS ARG_PRIVATE)
    get_target_property(type ${private} TYPE)
    if(type STREQUAL "INTERFACE_LIBRARY" AND NOT private STREQUAL "Threads::Threads")
      set(private "$<BUILD_INTERFACE:${private}>")
    endif()
    target_link_libraries(${target} PRIVATE ${private})
  endforeach()
  target_compile_features(${target} PUBLIC cxx_std_23)
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name} CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
    VERIFY_INTERFACE_HEADER_SETS ON)
  leat_options(${target})
  add_library(${target}_internal INTERFACE)
  target_include_directories(${target}_internal INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${target}_internal INTERFACE ${target} ${ARG_PRIVATE})
endfunction()

# leat_options(TARGET): warnings, and the sanitizers of the preset, for a target of ours.
function(leat_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion
    -Wno-sign-conversion $<$<BOOL:${LEAT_WERROR}>:-Werror>
    $<$<CXX_COMPILER_ID:Clang>:-Werror=thread-safety>  # see leat_locks/mutex.h
    # g++ 12 sees overlapping copies in std::string where there are none (GCC bug 105329).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
  if(LEAT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${LEAT_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${LEAT_SANITIZE})
    if(LEAT_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
      # moodycamel has fences, which g++'s TSan does not see; none of our own orders rests on one.
      target_compile_options(${target} PRIVATE -Wno-tsan)
    endif()
  endif()
endfunction()

# leat_executable(NAME SOURCES... LINK targets...): a program of ours (tool, test, benchmark, example).
function(leat_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_compile_features(${name} PRIVATE cxx_std_23)
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
  leat_options(${name})
endfunction()
