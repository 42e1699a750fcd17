// The text of the bundle, which V8 keeps for functions not compiled yet: 1 MB of the heap of every
// process. tools/seal.mjs appends it to the executable once more, so that the pages of the heap that
// hold it can be replaced by those of the file, which all sandboxes share, see mmap(2).
//
// Nothing of V8's layout is taken for granted: a mapping is searched for the text, and pages are
// replaced only by others of the same content. Elsewhere than in the sealed executable, and where
// the text is not found, nothing is done.
//
// At the executable's end: the text, its offset in the file, its length, MAGIC; 8 bytes each. The
// offset is that of the text in a page of V8's, so that pages of the one are pages of the other.

#include "shared_text.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "own_maps.h"

namespace runsc {
namespace {

constexpr uint64_t kMagic = 0x545845544e555221;  // "!RUNTEXT"
constexpr uintptr_t kPageSize = 4096;
constexpr size_t kSampleSize = 64;
// The most of a mapping that is not text: V8's headers, and the rest of its last page.
constexpr size_t kSlack = 65536;

struct Trailer {
  uint64_t offset;
  uint64_t length;
  uint64_t magic;
};

struct Range {
  uint8_t* start = nullptr;
  uint8_t* end = nullptr;
};

bool ReadTrailer(int fd, Trailer* trailer) {
  struct stat status;
  if (fstat(fd, &status) < 0 || status.st_size < static_cast<off_t>(sizeof *trailer)) return false;
  off_t at = status.st_size - static_cast<off_t>(sizeof *trailer);
  if (pread(fd, trailer, sizeof *trailer, at) != sizeof *trailer) return false;
  return trailer->magic == kMagic && trailer->offset + trailer->length == static_cast<size_t>(at);
}

// Where in the heap `length` bytes lie that start with `sample`; {} when nowhere.
Range FindText(const uint8_t* sample, size_t length) {
  for (const auto& [start, end, is_plain, is_special] : OwnMappings()) {
    if (!is_plain || end - start < length || end - start > length + kSlack) continue;
    void* at = memmem(reinterpret_cast<void*>(start), kPageSize, sample, kSampleSize);
    auto* text = static_cast<uint8_t*>(at);
    if (text != nullptr && length <= end - reinterpret_cast<uintptr_t>(text)) {
      return {text, text + length};
    }
  }
  return {};
}

uint8_t* RoundUp(uint8_t* at) {
  auto address = reinterpret_cast<uintptr_t>(at);
  return at + (kPageSize - address % kPageSize) % kPageSize;
}

void ShareFrom(int fd) {
  Trailer trailer;
  uint8_t sample[kSampleSize];
  if (!ReadTrailer(fd, &trailer) || trailer.length < kSampleSize) return;
  auto offset = static_cast<off_t>(trailer.offset);
  if (pread(fd, sample, sizeof sample, offset) != sizeof sample) return;
  Range text = FindText(sample, trailer.length);
  if (text.start == nullptr) return;
  if (reinterpret_cast<uintptr_t>(text.start) % kPageSize != trailer.offset % kPageSize) return;
  uint8_t* first = RoundUp(text.start);
  if (first + kPageSize > text.end) return;
  auto length = static_cast<size_t>(text.end - first) / kPageSize * kPageSize;
  offset += first - text.start;
  // Populated while it cannot be written, or each page would be a copy.
  void* pages = mmap(nullptr, length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, offset);
  if (pages == MAP_FAILED) return;
  int move = MREMAP_MAYMOVE | MREMAP_FIXED;
  if (memcmp(pages, first, length) == 0 && mprotect(pages, length, PROT_READ | PROT_WRITE) == 0 &&
      mremap(pages, length, length, move, first) == first) {
    return;
  }
  munmap(pages, length);
}

}  // namespace

void ShareText() {
  static bool done = false;
  if (done) return;
  done = true;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ShareFrom(fd);
  close(fd);
}

}  // namespace runsc
