// The ptrace platform as JavaScript calls it. Slots are indices of the shared records.

#include <errno.h>
#include <linux/elf.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "addon.h"
#include "own_maps.h"
#include "doorbell.h"
#include "tracer.h"

namespace runsc {
namespace {

template <size_t N>
struct Arguments {
  Arguments(napi_env env, napi_callback_info info) : env(env) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  }
  int Slot(size_t i) const {
    int64_t slot = IntArg(env, values[i]);
    return slot >= 0 && slot < kMaxSlots ? static_cast<int>(slot) : -1;
  }
  int64_t Int(size_t i) const { return IntArg(env, values[i]); }
  napi_env env;
  napi_value values[N];
};

// Extended state of a stopped thread through PTRACE_GETREGSET or SETREGSET: bytes, or -errno.
long FpState(pid_t tid, bool set, uint8_t* data, size_t length) {
  iovec vector = {data, length};
  auto request = set ? PTRACE_SETREGSET : PTRACE_GETREGSET;
  auto kind = reinterpret_cast<void*>(NT_X86_XSTATE);
  return ptrace(request, tid, kind, &vector) < 0 ? -errno : static_cast<long>(vector.iov_len);
}

// What execve(2) leaves: x87 control word 0x37f, MXCSR 0x1f80, all else zero.
long ResetFpState(pid_t tid) {
  std::vector<uint8_t> state(tracer.fp_bytes);
  state[0] = 0x7f;
  state[1] = 0x03;
  state[24] = 0x80;
  state[25] = 0x1f;
  state[512] = 3;
  return FpState(tid, true, state.data(), state.size());
}

napi_value Start(napi_env env, napi_callback_info) {
  int error = TracerStart();
  if (error < 0) return MakeNumber(env, error);
  std::vector<uint8_t> state(65536);
  long length = FpState(tracer.template_pid, false, state.data(), state.size());
  if (length < 0) return MakeNumber(env, static_cast<double>(length));
  tracer.fp_bytes = static_cast<size_t>(length);
  ResetFpState(tracer.template_pid);
  napi_value result = nullptr;
  napi_create_object(env, &result);
  auto set = [&](const char* name, napi_value value) {
    napi_set_named_property(env, result, name, value);
  };
  set("shared", WrapMemory(env, tracer.header, kSharedBytes));
  set("ops", WrapMemory(env, tracer.ops, kOpsBytes));
  set("maxSlots", MakeNumber(env, kMaxSlots));
  set("taskSize", MakeNumber(env, static_cast<double>(kStubBase)));
  set("fpStateSize", MakeNumber(env, static_cast<double>(length)));
  set("epollFd", MakeNumber(env, DoorbellEpollFd()));
  set("templatePid", MakeNumber(env, tracer.template_pid));
  return result;
}

napi_value Poll(napi_env env, napi_callback_info info) {
  Arguments<1> arguments(env, info);
  napi_value slot = nullptr;
  napi_create_int32(env, TracerPoll(NumberArg(env, arguments.values[0])), &slot);
  return slot;
}

// clone(from or -1, slot, thread): the new tid, or -errno.
napi_value Clone(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  int from = arguments.Slot(0);
  int slot = arguments.Slot(1);
  long tid = CloneSlot(from, arguments.Int(2) != 0 ? kTracedThreadFlags : kTracedProcessFlags);
  if (tid > 0) AdoptThread(static_cast<pid_t>(tid), slot, from);
  return MakeNumber(env, static_cast<double>(tid));
}

napi_value Ops(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  auto count = static_cast<size_t>(arguments.Int(1));
  if (count > kMaxOps) return MakeNumber(env, -EINVAL);
  return MakeNumber(env, static_cast<double>(RunOps(arguments.Slot(0), count)));
}

napi_value Interrupt(napi_env env, napi_callback_info info) {
  InterruptSlot(Arguments<1>(env, info).Slot(0));
  return nullptr;
}

napi_value ExitThread(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  ExitSlot(arguments.Slot(0), static_cast<pid_t>(arguments.Int(1)));
  return nullptr;
}

// kill(pid, slots): an Int32Array of all its threads.
napi_value Kill(napi_env env, napi_callback_info info) {
  Arguments<2> arguments(env, info);
  Bytes slots = BytesArg(env, arguments.values[1]);
  KillProcess(static_cast<pid_t>(arguments.Int(0)), reinterpret_cast<int32_t*>(slots.data),
              slots.length / sizeof(int32_t));
  return nullptr;
}

// fpState(slot, set, bytes): 0 or -errno; bytes null resets it.
napi_value FpStateOf(napi_env env, napi_callback_info info) {
  Arguments<3> arguments(env, info);
  pid_t tid = tracer.records[arguments.Slot(0)].tid;
  Bytes bytes = BytesArg(env, arguments.values[2]);
  long result = bytes.data == nullptr
                    ? ResetFpState(tid)
                    : FpState(tid, arguments.Int(1) != 0, bytes.data, bytes.length);
  return MakeNumber(env, static_cast<double>(result < 0 ? result : 0));
}

// The time a process has used on processors, all its threads together.
napi_value ProcessCpuNs(napi_env env, napi_callback_info info) {
  auto pid = static_cast<pid_t>(Arguments<1>(env, info).Int(0));
  timespec used{};
  auto clock = static_cast<clockid_t>((~static_cast<unsigned>(pid) << 3) | 2);
  if (clock_gettime(clock, &used) < 0) return MakeNumber(env, -errno);
  return MakeNumber(env, static_cast<double>(used.tv_sec) * 1e9 + static_cast<double>(used.tv_nsec));
}

// The time between a thread's resumes and its stops: an upper bound of what it used.
napi_value RunNs(napi_env env, napi_callback_info info) {
  int slot = Arguments<1>(env, info).Slot(0);
  const Tracee& tracee = tracer.tracees[slot];
  bool runs = tracer.records[slot].state == kRunning;
  return MakeNumber(env, tracee.run_ns + (runs ? NowNs() - tracee.resumed_at_ns : 0));
}

napi_value Answer(napi_env, napi_callback_info) {
  DoorbellAnswer();
  return nullptr;
}

napi_value Maps(napi_env env, napi_callback_info) { return MakeNumber(env, KeepMaps()); }

}  // namespace

void ExportPtrace(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "keepMaps", Maps);
  Export(env, exports, "ptraceStart", Start);
  Export(env, exports, "ptracePoll", Poll);
  Export(env, exports, "ptraceClone", Clone);
  Export(env, exports, "ptraceOps", Ops);
  Export(env, exports, "ptraceInterrupt", Interrupt);
  Export(env, exports, "ptraceExit", ExitThread);
  Export(env, exports, "ptraceKill", Kill);
  Export(env, exports, "ptraceFpState", FpStateOf);
  Export(env, exports, "ptraceProcessCpuNs", ProcessCpuNs);
  Export(env, exports, "ptraceRunNs", RunNs);
  Export(env, exports, "doorbellAnswer", Answer);
}

}  // namespace runsc
