// trimMemory(): gives memory back that V8 and malloc hold without using it, for a Sentry or a
// Gofer in which nothing happens. V8 would do so in tasks of an event loop, which here never runs.
//
// A scavenge leaves garbage in the half of the young generation that it has emptied, 1 MB once the
// boot has filled it, and V8 keeps its pages for the next one. A collection of everything would
// give them back, but writes to so many pages shared with the Gofer that nothing is won.
//
// V8 does not tell which pages those are. They are found by the flags that begin each of its pages,
// in whose meaning it is believed only if a fresh object lies in a page with the flags of the other
// half. Their first host page, with V8's header and the object that fills them, stays.
//
// Pages of nothing but zeros are given back, whosever they are: they read as before. Buffers out of
// the snapshot that nobody has used are such, and the ends of V8's pages. Not where another thread may write
// meanwhile: that is the doorbell's, with a stack of its own and words in a page that has others.

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <v8.h>

#include <algorithm>

#include "addon.h"
#include "doorbell.h"
#include "own_maps.h"

namespace runsc {
namespace {

constexpr uintptr_t kV8PageSize = 256 * 1024;
constexpr uintptr_t kHostPageSize = 4096;
// Flags of v8::internal::MemoryChunk; both halves are INTERESTING to the write barrier.
constexpr uintptr_t kInteresting = 1 << 1;
constexpr uintptr_t kFrom = 1 << 3;
constexpr uintptr_t kTo = 1 << 4;
constexpr uintptr_t kHalves = kInteresting | kFrom | kTo;
constexpr uintptr_t kBelowAgeMark = 1 << 9;

// Larger mappings are mostly untouched, and looking would give them pages.
constexpr uintptr_t kLargestSearched = 4 * 1024 * 1024;

uintptr_t FlagsOf(uintptr_t page) { return *reinterpret_cast<const uintptr_t*>(page); }

bool FlagsAreKnown(v8::Isolate* isolate) {
  v8::HandleScope scope(isolate);
  v8::Local<v8::Object> fresh = v8::Object::New(isolate);
  uintptr_t object = **reinterpret_cast<uintptr_t**>(&fresh);
  return (FlagsOf(object & ~(kV8PageSize - 1)) & kHalves) == (kInteresting | kTo);
}

void DiscardEmptiedPages() {
  for (const auto& [start, end, is_plain, is_special] : KeptMappings()) {
    if (!is_plain || start % kV8PageSize != 0 || end - start != kV8PageSize) continue;
    if ((FlagsOf(start) & ~kBelowAgeMark) != (kInteresting | kFrom)) continue;
    madvise(reinterpret_cast<void*>(start + kHostPageSize), kV8PageSize - kHostPageSize,
            MADV_DONTNEED);
  }
}

bool IsZero(uintptr_t page) {
  auto* first = reinterpret_cast<const uint64_t*>(page);
  auto* end = first + kHostPageSize / sizeof *first;
  return std::all_of(first, end, [](uint64_t word) { return word == 0; });
}

void DiscardZeroPages() {
  for (const auto& [start, end, is_plain, is_special] : KeptMappings()) {
    if (!is_plain || end - start > kLargestSearched || DoorbellStandsIn(start, end)) continue;
    for (uintptr_t page = start; page < end; page += kHostPageSize) {
      uintptr_t first = page;
      while (page < end && IsZero(page)) page += kHostPageSize;
      if (page > first) madvise(reinterpret_cast<void*>(first), page - first, MADV_DONTNEED);
    }
  }
}

napi_value TrimMemory(napi_env, napi_callback_info) {
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  // V8 has no other way to ask for a scavenge, and asks for the flag.
  v8::V8::SetFlagsFromString("--expose-gc");
  // The second empties the half that the first has filled, into one without garbage.
  for (int half = 0; half < 2; half++) {
    isolate->RequestGarbageCollectionForTesting(v8::Isolate::kMinorGarbageCollection);
    if (FlagsAreKnown(isolate)) DiscardEmptiedPages();
  }
  DiscardZeroPages();
  malloc_trim(0);
  return nullptr;
}

}  // namespace

void ExportTrim(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "trimMemory", TrimMemory);
}

}  // namespace runsc
