// syscall(nr, ...args): one raw host system call, see syscall(2).
//
// An argument is a number, a typed array (its address is passed), or null. The result is the
// kernel's, -errno on failure, as a Number. Nothing is checked: this is the host's edge, and only
// native/*.ts and the platforms call it.

#include <time.h>
#include <unistd.h>

#include "addon.h"

namespace runsc {

Bytes BytesArg(napi_env env, napi_value value) {
  Bytes bytes;
  void* data = nullptr;
  bool is_type = false;
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return bytes;
  if (napi_is_typedarray(env, value, &is_type) == napi_ok && is_type) {
    napi_typedarray_type element;
    size_t length = 0;
    napi_get_typedarray_info(env, value, &element, &length, &data, nullptr, nullptr);
    static constexpr uint8_t kShift[] = {0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3};
    bytes.length = static_cast<size_t>(element) < sizeof kShift ? length << kShift[element] : 0;
  } else if (napi_is_arraybuffer(env, value, &is_type) == napi_ok && is_type) {
    napi_get_arraybuffer_info(env, value, &data, &bytes.length);
  } else if (napi_is_dataview(env, value, &is_type) == napi_ok && is_type) {
    napi_get_dataview_info(env, value, &bytes.length, &data, nullptr, nullptr);
  }
  bytes.data = static_cast<uint8_t*>(data);
  return bytes;
}

namespace {

// libc's syscall() would fold the result into errno; this keeps the kernel's own value.
long RawSyscall(long nr, const long a[6]) {
  long result;
  register long r10 asm("r10") = a[3];
  register long r8 asm("r8") = a[4];
  register long r9 asm("r9") = a[5];
  asm volatile("syscall"
               : "=a"(result)
               : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

napi_value Syscall(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  size_t argc = 7;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  long args[7] = {0};
  for (size_t i = 0; i < argc && i < 7; i++) {
    int64_t number = 0;
    if (napi_get_value_int64(env, argv[i], &number) == napi_ok) {
      args[i] = number;
    } else {
      args[i] = reinterpret_cast<long>(BytesArg(env, argv[i]).data);
    }
  }
  return MakeNumber(env, static_cast<double>(RawSyscall(args[0], args + 1)));
}

napi_value AddressOf(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  auto address = reinterpret_cast<uintptr_t>(BytesArg(env, argv[0]).data);
  return MakeNumber(env, static_cast<double>(address));
}

// realtimeNs(since): CLOCK_REALTIME as nanoseconds since that second, through the vDSO.
napi_value RealtimeNs(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  auto seconds = static_cast<double>(now.tv_sec - IntArg(env, argv[0]));
  return MakeNumber(env, seconds * 1e9 + static_cast<double>(now.tv_nsec));
}

napi_value MonotonicNs(napi_env env, napi_callback_info) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return MakeNumber(env, static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec));
}

}  // namespace

void ExportSyscall(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "syscall", Syscall);
  Export(env, exports, "addressOf", AddressOf);
  Export(env, exports, "realtimeNs", RealtimeNs);
  Export(env, exports, "monotonicNs", MonotonicNs);
}

}  // namespace runsc
