// The mappings of this process, see proc_pid_maps(5).

#ifndef RUNSC_NATIVE_OWN_MAPS_H_
#define RUNSC_NATIVE_OWN_MAPS_H_

#include <cstdint>
#include <vector>

namespace runsc {

struct Mapping {
  uintptr_t start;
  uintptr_t end;
  // Anonymous, private, to be read and written: V8's pages, or malloc's.
  bool is_plain;
  // The kernel's own, such as [vvar].
  bool is_special;
};

// Empty where there is no /proc.
std::vector<Mapping> OwnMappings();

// Opens what KeptMappings reads, for a process that leaves /proc behind. Its descriptor, or -1.
int KeepMaps();
std::vector<Mapping> KeptMappings();

}  // namespace runsc

#endif  // RUNSC_NATIVE_OWN_MAPS_H_
