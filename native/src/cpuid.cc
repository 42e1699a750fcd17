// The processor: cpuid(leaf, subleaf, into), the CPUID instruction, for /proc/cpuinfo.
//
// `into` is a Uint32Array of 4: eax, ebx, ecx, edx. Leaves that the processor does not have give what
// it gives for them; the caller looks at the highest leaf first.

#include <cpuid.h>

#include "addon.h"

namespace runsc {
namespace {

napi_value Cpuid(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  size_t argc = 3;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  uint32_t leaf = 0;
  uint32_t subleaf = 0;
  napi_get_value_uint32(env, argv[0], &leaf);
  napi_get_value_uint32(env, argv[1], &subleaf);
  Bytes into = BytesArg(env, argv[2]);
  if (into.data == nullptr || into.length < 4 * sizeof(uint32_t)) return nullptr;
  auto* words = reinterpret_cast<uint32_t*>(into.data);
  __cpuid_count(leaf, subleaf, words[0], words[1], words[2], words[3]);
  return nullptr;
}

}  // namespace

void ExportCpuid(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "cpuid", Cpuid);
}

}  // namespace runsc
