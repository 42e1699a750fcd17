// Host memory as ArrayBuffers: the MemoryFile's window and pages shared with other processes.

#include <errno.h>
#include <sys/mman.h>

#include <v8.h>

#include "addon.h"

namespace runsc {

// Node-API's external buffers count as memory that V8's collector could free: a window of 1 TiB
// starts a full collection (10 to 25 ms) at once, and more later. V8 leaves memory with its empty
// deleter out of that account, and only V8's own interface can say so. A napi_value is a V8 handle.
napi_value WrapMemory(napi_env, void* address, size_t length) {
  auto store = v8::ArrayBuffer::NewBackingStore(address, length, v8::BackingStore::EmptyDeleter,
                                                nullptr);
  auto buffer = v8::ArrayBuffer::New(v8::Isolate::GetCurrent(), std::move(store));
  return reinterpret_cast<napi_value>(*buffer);
}

namespace {

// mapFile(fd, length): the file, mapped shared and whole, as one ArrayBuffer, or -errno. V8 reaches
// it by ordinary loads: of a file that shrinks the rest must not be touched.
napi_value MapFile(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  size_t argc = 2;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int fd = static_cast<int>(IntArg(env, argv[0]));
  auto length = static_cast<size_t>(IntArg(env, argv[1]));
  void* address =
      mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (address == MAP_FAILED) return MakeNumber(env, -errno);
  return WrapMemory(env, address, length);
}

// mapFiles(fd, length, huge, from): the same for a sparse file whose bytes from `from` on, a multiple of
// 2 MiB, are those of the file `huge`. It begins where huge pages can be mapped as such.
napi_value MapFiles(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  size_t argc = 4;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int fd = static_cast<int>(IntArg(env, argv[0]));
  auto length = static_cast<size_t>(IntArg(env, argv[1]));
  int huge = static_cast<int>(IntArg(env, argv[2]));
  auto from = static_cast<size_t>(IntArg(env, argv[3]));
  constexpr uintptr_t kHuge = 2 << 20;
  constexpr int kShared = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
  void* room = mmap(nullptr, length + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
  if (room == MAP_FAILED) return MakeNumber(env, -errno);
  uintptr_t begin = (reinterpret_cast<uintptr_t>(room) + kHuge - 1) & ~(kHuge - 1);
  auto* address = reinterpret_cast<uint8_t*>(begin);
  if (mmap(address, from, PROT_READ | PROT_WRITE, kShared, fd, 0) == MAP_FAILED ||
      mmap(address + from, length - from, PROT_READ | PROT_WRITE, kShared, huge,
           static_cast<off_t>(from)) == MAP_FAILED) {
    int error = errno;
    munmap(room, length + kHuge);
    return MakeNumber(env, -error);
  }
  return WrapMemory(env, address, length);
}

// mapPages(length): zeroed pages that children made by fork share, or -errno.
napi_value MapPages(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  auto length = static_cast<size_t>(IntArg(env, argv[0]));
  void* address =
      mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return MakeNumber(env, -errno);
  return WrapMemory(env, address, length);
}

}  // namespace

void ExportMemory(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "mapFile", MapFile);
  Export(env, exports, "mapFiles", MapFiles);
  Export(env, exports, "mapPages", MapPages);
}

}  // namespace runsc
