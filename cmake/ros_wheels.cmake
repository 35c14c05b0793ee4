# What it takes to build against the ROS wheels instead of a distribution. Passed as CMAKE_PROJECT_INCLUDE, by setup.py
# and by hand to colcon, so that CMakeLists.txt knows of distributions only.

# The wheels' targets name an include folder of the machine that built them, and CMake stops at a folder that does not
# exist. It also stops at an exported target that includes from the source tree, as the messages do from NumPy when the
# environment is in it (.venv). Deferred, because the targets come with the find_package() calls still ahead.
function(repair_include_paths)
  get_directory_property(targets IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(paths ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(paths)
      list(FILTER paths EXCLUDE REGEX "^/opt/python/")
      set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES ${paths})
    endif()
  endforeach()
  get_directory_property(targets BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(paths ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(paths)
      list(TRANSFORM paths REPLACE "^(.*/site-packages/.*)$" "$<BUILD_INTERFACE:\\1>")
      set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES ${paths})
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL repair_include_paths)
