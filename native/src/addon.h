// What every file of the addon shares: the exported functions and a few N-API shorthands.
//
// Hot functions use the plain C Node-API (no C++ wrapper objects); the rest goes through
// node-addon-api. Errors of the host travel as negative errno Numbers, never as exceptions.

#ifndef RUNSC_NATIVE_ADDON_H_
#define RUNSC_NATIVE_ADDON_H_

#include <napi.h>

#include <cstddef>
#include <cstdint>

namespace runsc {

// Reads call arguments: anything that is missing or not a number reads as 0.
inline double NumberArg(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}

inline int64_t IntArg(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

inline napi_value MakeNumber(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

// The bytes of a typed array, DataView or ArrayBuffer; null data for anything else.
struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};
Bytes BytesArg(napi_env env, napi_value value);

// An ArrayBuffer over host memory that is never unmapped by the collector.
napi_value WrapMemory(napi_env env, void* address, size_t length);

void ExportSyscall(Napi::Env env, Napi::Object exports);
void ExportMemory(Napi::Env env, Napi::Object exports);
void ExportDirectory(Napi::Env env, Napi::Object exports);
void ExportTrim(Napi::Env env, Napi::Object exports);
void ExportFork(Napi::Env env, Napi::Object exports);
void ExportPtrace(Napi::Env env, Napi::Object exports);
void ExportSystrap(Napi::Env env, Napi::Object exports);
void ExportTsc(Napi::Env env, Napi::Object exports);
void ExportCpuid(Napi::Env env, Napi::Object exports);

// Adds one plain C Node-API function to the exports.
void Export(Napi::Env env, Napi::Object exports, const char* name, napi_callback callback);

}  // namespace runsc

#endif  // RUNSC_NATIVE_ADDON_H_
