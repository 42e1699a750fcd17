// The addon's entry point: collects the exports of every file.

#include "addon.h"

namespace runsc {

void Export(Napi::Env env, Napi::Object exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, name, function);
  }
}

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  ExportSyscall(env, exports);
  ExportMemory(env, exports);
  ExportFork(env, exports);
  ExportDirectory(env, exports);
  ExportTrim(env, exports);
  ExportPtrace(env, exports);
  ExportSystrap(env, exports);
  ExportTsc(env, exports);
  ExportCpuid(env, exports);
  return exports;
}

}  // namespace
}  // namespace runsc

static Napi::Object InitRunsc(Napi::Env env, Napi::Object exports) {
  return runsc::Init(env, exports);
}

NODE_API_MODULE(runsc, InitRunsc)
