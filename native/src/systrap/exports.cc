// The systrap platform as JavaScript calls it. Slots are indices of the shared records, spaces those
// of processes.

#include <errno.h>
#include <time.h>

#include <cstring>
#include <string>

#include "../addon.h"
#include "../doorbell.h"
#include "stub.h"
#include "systrap.h"

namespace runsc {
namespace {

using namespace systrap;  // NOLINT

template <size_t N>
struct Arguments {
  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  int Int(size_t i) const { return static_cast<int>(IntArg(env, values[i])); }
  napi_env env;
  napi_value values[N];
};

napi_value StartPlatform(napi_env env, napi_callback_info) {
  if (std::string problem = Start(); !problem.empty()) {
    napi_value text = nullptr;
    napi_create_string_utf8(env, problem.data(), problem.size(), &text);
    return text;
  }
  auto& all = systrap::systrap;
  napi_value result = nullptr;
  napi_create_object(env, &result);
  auto set = [&](const char* name, napi_value value) {
    napi_set_named_property(env, result, name, value);
  };
  set("shared", WrapMemory(env, all.shared, kSharedBytes));
  set("ops", WrapMemory(env, all.staged.get(), kStagedOps * sizeof(systrap::Op)));
  set("maxSlots", MakeNumber(env, kMaxSlots));
  set("taskSize", MakeNumber(env, static_cast<double>(kCode)));
  set("fpStateSize", MakeNumber(env, static_cast<double>(all.frame.fp_bytes)));
  set("callEntry", MakeNumber(env, static_cast<double>(EntryAddress())));
  set("controls", WrapMemory(env, all.controls, kControlBytes * kMaxProcesses));
  set("controlBytes", MakeNumber(env, kControlBytes));
  set("waitersAt", MakeNumber(env, kWaitersAt));
  set("epollFd", MakeNumber(env, all.epoll_fd));
  set("templatePid",
      MakeNumber(env, all.processes[static_cast<size_t>(all.template_process)].pid));
  return result;
}

napi_value PollPlatform(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  napi_value slot = nullptr;
  napi_create_int32(env, systrap::Poll(NumberArg(env, arguments.values[0])), &slot);
  return slot;
}

napi_value ResumeNow(napi_env, napi_callback_info) {
  ApplyResumes();
  return nullptr;
}

napi_value Stay(napi_env env, napi_callback_info) {
  return MakeNumber(env, systrap::StayOnCpu());
}

// process(from or -1, fromSlot, slot): a new space's index, or -errno.
napi_value NewProcess(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  int from = arguments.Int(0);
  int slot = arguments.Int(2);
  int process = CloneProcess(from < 0 ? systrap::systrap.template_process : from, slot);
  if (process >= 0 && from >= 0) CopyFpState(arguments.Int(1), slot);
  return MakeNumber(env, process);
}

// thread(space, fromSlot, slot): its tid, or -errno.
napi_value NewThread(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  long tid = CloneThread(arguments.Int(0), arguments.Int(2));
  if (tid > 0) CopyFpState(arguments.Int(1), arguments.Int(2));
  return MakeNumber(env, static_cast<double>(tid));
}

napi_value Ops(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto count = static_cast<size_t>(arguments.Int(1));
  if (count > kStagedOps) return MakeNumber(env, -EINVAL);
  Made made = systrap::RunOps(arguments.Int(0), systrap::systrap.staged.get(), count);
  return MakeNumber(env, static_cast<double>(made.error));
}

napi_value PidOf(napi_env env, napi_callback_info info) {
  auto space = static_cast<size_t>(Arguments<1>(env, info).Int(0));
  return MakeNumber(env, systrap::systrap.processes[space].pid);
}

napi_value InterruptThread(napi_env env, napi_callback_info info) {
  systrap::Interrupt(Arguments<1>(env, info).Int(0));
  return nullptr;
}

napi_value HaltThreads(napi_env env, napi_callback_info info) {
  systrap::Halt(Arguments<1>(env, info).Int(0));
  return nullptr;
}

napi_value EndThread(napi_env env, napi_callback_info info) {
  systrap::ExitThread(Arguments<1>(env, info).Int(0));
  return nullptr;
}

napi_value Empty(napi_env env, napi_callback_info info) {
  return MakeNumber(env, systrap::EmptyProcess(Arguments<1>(env, info).Int(0)));
}

napi_value Rest(napi_env env, napi_callback_info info) {
  systrap::Park(Arguments<1>(env, info).Int(0));
  return nullptr;
}

napi_value KeepThread(napi_env env, napi_callback_info info) {
  systrap::ParkThread(Arguments<1>(env, info).Int(0));
  return nullptr;
}

// revive(fromSlot or -1, slot): 0 or -errno.
napi_value Revive(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  int error = systrap::ReviveThread(arguments.Int(1));
  if (error == 0 && arguments.Int(0) >= 0) CopyFpState(arguments.Int(0), arguments.Int(1));
  return MakeNumber(env, error);
}

napi_value ThreadEnded(napi_env env, napi_callback_info info) {
  return MakeNumber(env, HasEnded(Arguments<1>(env, info).Int(0)) ? 1 : 0);
}

napi_value Kill(napi_env env, napi_callback_info info) {
  systrap::KillProcess(Arguments<1>(env, info).Int(0));
  return nullptr;
}

napi_value Registers(napi_env env, napi_callback_info info) {
  CompleteRegisters(Arguments<1>(env, info).Int(0));
  return nullptr;
}

// fpState(slot, set, bytes): 0 or -errno; bytes null resets it.
napi_value FpStateOf(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  Bytes bytes = BytesArg(env, arguments.values[2]);
  if (bytes.data == nullptr) {
    systrap::ResetFpState(arguments.Int(0));
    return MakeNumber(env, 0);
  }
  bool set = arguments.Int(1) != 0;
  long result = systrap::FpState(arguments.Int(0), set, bytes.data, bytes.length);
  return MakeNumber(env, static_cast<double>(result));
}

napi_value AnswerFutexes(napi_env env, napi_callback_info info) {
  systrap::systrap.header->answers_futexes = Arguments<1>(env, info).Int(0) != 0 ? 1 : 0;
  return nullptr;
}

napi_value RunTimeNs(napi_env env, napi_callback_info info) {
  return MakeNumber(env, systrap::RunNs(Arguments<1>(env, info).Int(0)));
}

}  // namespace

void ExportSystrap(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "systrapStart", StartPlatform);
  Export(env, exports, "systrapPoll", PollPlatform);
  Export(env, exports, "systrapLetGo", ResumeNow);
  Export(env, exports, "stayOnCpu", Stay);
  Export(env, exports, "systrapProcess", NewProcess);
  Export(env, exports, "systrapThread", NewThread);
  Export(env, exports, "systrapOps", Ops);
  Export(env, exports, "systrapPid", PidOf);
  Export(env, exports, "systrapInterrupt", InterruptThread);
  Export(env, exports, "systrapHalt", HaltThreads);
  Export(env, exports, "systrapExit", EndThread);
  Export(env, exports, "systrapRest", Rest);
  Export(env, exports, "systrapPark", KeepThread);
  Export(env, exports, "systrapEmpty", Empty);
  Export(env, exports, "systrapRevive", Revive);
  Export(env, exports, "systrapEnded", ThreadEnded);
  Export(env, exports, "systrapKill", Kill);
  Export(env, exports, "systrapRegisters", Registers);
  Export(env, exports, "systrapFpState", FpStateOf);
  Export(env, exports, "systrapAnswerFutexes", AnswerFutexes);
  Export(env, exports, "systrapRunNs", RunTimeNs);
}

}  // namespace runsc
