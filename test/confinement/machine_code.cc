// Runs machine code that JavaScript hands over, in memory that is executable already: what an attacker
// who controls a process by way of V8's code range can do. Only the tests load it.

#include <node_api.h>
#include <string.h>

#include <cstdint>

namespace {

constexpr size_t kRoom = 4096;
void* room = nullptr;

// room(address): where the code goes.
napi_value Room(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  int64_t address = 0;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  napi_get_value_int64(env, argv[0], &address);
  room = reinterpret_cast<void*>(address);
  return nullptr;
}

// run(code, argument): what it leaves in rax.
napi_value Run(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  size_t argc = 2;
  void* code = nullptr;
  void* argument = nullptr;
  size_t length = 0;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  napi_get_typedarray_info(env, argv[0], nullptr, &length, &code, nullptr, nullptr);
  napi_get_typedarray_info(env, argv[1], nullptr, nullptr, &argument, nullptr, nullptr);
  if (room == nullptr || length > kRoom) return nullptr;
  memcpy(room, code, length);
  auto result = reinterpret_cast<int64_t (*)(void*)>(room)(argument);
  napi_value value = nullptr;
  napi_create_int64(env, result, &value);
  return value;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function = nullptr;
  napi_create_function(env, "room", NAPI_AUTO_LENGTH, Room, nullptr, &function);
  napi_set_named_property(env, exports, "room", function);
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, Run, nullptr, &function);
  napi_set_named_property(env, exports, "run", function);
  return exports;
}
