// See own_maps.h. Read by pread(2), which is in the filters of Sentry and Gofer.

#include "own_maps.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace runsc {
namespace {

constexpr size_t kPiece = 16384;

std::string ReadAll(int fd) {
  std::string text;
  for (;;) {
    size_t length = text.size();
    text.resize(length + kPiece);
    ssize_t n = pread(fd, text.data() + length, kPiece, static_cast<off_t>(length));
    text.resize(length + static_cast<size_t>(n > 0 ? n : 0));
    if (n <= 0) return text;
  }
}

std::vector<Mapping> ReadMappings(int fd) {
  std::string text = ReadAll(fd);
  std::vector<Mapping> mappings;
  char* next = text.data();
  while (char* line = strsep(&next, "\n")) {
    Mapping mapping = {};
    char protection[5] = "";
    int name = 0;
    const char* format = "%lx-%lx %4s %*s %*s %*s %n";
    if (sscanf(line, format, &mapping.start, &mapping.end, protection, &name) < 3) continue;
    const char* named = name > 0 ? line + name : "?";
    bool is_plain = *named == '\0' || strcmp(named, "[heap]") == 0;
    mapping.is_plain = is_plain && strcmp(protection, "rw-p") == 0;
    mapping.is_special = name > 0 && strncmp(line + name, "[v", 2) == 0;
    mappings.push_back(mapping);
  }
  return mappings;
}

int OpenMaps() { return open("/proc/self/maps", O_RDONLY | O_CLOEXEC); }

}  // namespace

std::vector<Mapping> OwnMappings() {
  int fd = OpenMaps();
  if (fd < 0) return {};
  std::vector<Mapping> mappings = ReadMappings(fd);
  close(fd);
  return mappings;
}

int KeepMaps() {
  static int fd = -1;
  if (fd < 0) fd = OpenMaps();
  return fd;
}

std::vector<Mapping> KeptMappings() {
  int fd = KeepMaps();
  return fd < 0 ? std::vector<Mapping>{} : ReadMappings(fd);
}

}  // namespace runsc
