# moodycamel's ConcurrentQueue: header only, packaged without a CMake config. Older packages put the header in
# concurrentqueue/, newer ones in concurrentqueue/moodycamel/.
find_path(Concurrentqueue_INCLUDE_DIR concurrentqueue.h
          PATH_SUFFIXES concurrentqueue/moodycamel concurrentqueue)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Concurrentqueue REQUIRED_VARS Concurrentqueue_INCLUDE_DIR)
if(Concurrentqueue_FOUND AND NOT TARGET Concurrentqueue::Concurrentqueue)
  add_library(Concurrentqueue::Concurrentqueue INTERFACE IMPORTED)
  target_include_directories(Concurrentqueue::Concurrentqueue SYSTEM INTERFACE
                             "${Concurrentqueue_INCLUDE_DIR}")
endif()
