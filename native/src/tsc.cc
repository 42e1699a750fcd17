// sampleClocks(into): the time stamp counter beside the clocks, for the vDSO's data page.
//
// `into` is a Float64Array of 4: TSC, CLOCK_MONOTONIC in ns, CLOCK_REALTIME in seconds and ns. The
// pairs are bracketed and the tightest of a few tries is kept, so that an interruption between two
// readings does not pass for a difference between the clocks.
//
// tscInvariant(): whether the CPU promises that the counter runs at one rate in all states.

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include "addon.h"

namespace runsc {
namespace {

constexpr int kTries = 5;
constexpr int64_t kNsPerSec = 1'000'000'000;

int64_t ReadClock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kNsPerSec + now.tv_nsec;
}

uint64_t ReadTsc() {
  _mm_lfence();
  return __rdtsc();
}

napi_value SampleClocks(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  Bytes into = BytesArg(env, argv[0]);
  if (into.data == nullptr || into.length < 4 * sizeof(double)) return nullptr;

  uint64_t tsc = 0;
  int64_t monotonic = 0;
  int64_t offset = 0;
  uint64_t tightest = UINT64_MAX;
  for (int i = 0; i < kTries; i++) {
    uint64_t before = ReadTsc();
    int64_t now = ReadClock(CLOCK_MONOTONIC);
    uint64_t after = ReadTsc();
    if (after - before >= tightest) continue;
    tightest = after - before;
    tsc = before + tightest / 2;
    monotonic = now;
  }
  int64_t narrowest = INT64_MAX;
  for (int i = 0; i < kTries; i++) {
    int64_t before = ReadClock(CLOCK_MONOTONIC);
    int64_t wall = ReadClock(CLOCK_REALTIME);
    int64_t after = ReadClock(CLOCK_MONOTONIC);
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    offset = wall - (before + narrowest / 2);
  }
  int64_t wall = monotonic + offset;
  auto* numbers = reinterpret_cast<double*>(into.data);
  numbers[0] = static_cast<double>(tsc);
  numbers[1] = static_cast<double>(monotonic);
  numbers[2] = static_cast<double>(wall / kNsPerSec);
  numbers[3] = static_cast<double>(wall % kNsPerSec);
  return nullptr;
}

napi_value TscInvariant(napi_env env, napi_callback_info) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  bool invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
  napi_value value = nullptr;
  napi_get_boolean(env, invariant, &value);
  return value;
}

}  // namespace

void ExportTsc(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "sampleClocks", SampleClocks);
  Export(env, exports, "tscInvariant", TscInvariant);
}

}  // namespace runsc
