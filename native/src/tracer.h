// The ptrace platform's state: application threads (tracees) and the records shared with JavaScript.

#ifndef RUNSC_NATIVE_TRACER_H_
#define RUNSC_NATIVE_TRACER_H_

#include <sys/types.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "stub.h"

namespace runsc {

// The most application threads of one sandbox.
constexpr int kMaxSlots = 16384;

// Values of Record::state.
enum State : uint32_t {
  kFree = 0,
  kStopped = 1,
  kResuming = 2,  // JavaScript asked to resume it; applied by the next poll
  kRunning = 3,
};

// Values of Record::reason: STOP_* of platform.ts.
enum Reason : uint32_t { kSyscall = 1, kFault = 2, kInterrupted = 3, kExited = 4 };

// Bits of Record::flags.
constexpr uint32_t kSingleStep = 1;  // set by JavaScript

// One application thread, as JavaScript sees it: 64 words of 32 bits, see record.ts.
struct Record {
  user_regs_struct regs;
  uint32_t state;
  uint32_t reason;
  uint32_t fault_signal;
  int32_t fault_code;
  uint64_t fault_address;
  uint32_t flags;
  int32_t tid;
  uint32_t unused[2];
};
static_assert(sizeof(user_regs_struct) == 216);
static_assert(sizeof(Record) == 256);

// What lies before the records.
struct Header {
  uint32_t resuming;  // how many of `slots` wait for the next poll
  uint32_t running;
  uint32_t wake_ns;  // systrap: what waking the Sentry costs, as far as it has learnt
  uint32_t spin_ns;  // systrap: how long the Sentry looks out for a stop before it sleeps
  uint32_t unused[60];
  int32_t slots[kMaxSlots];
};
constexpr size_t kSharedBytes = sizeof(Header) + sizeof(Record) * kMaxSlots;

// What only the tracer knows of a thread.
struct Tracee {
  user_regs_struct hardware;  // the registers the host holds, when `known`
  bool known;
  bool interrupt_wanted;
  bool interrupt_sent;  // PTRACE_INTERRUPT was made and no stop seen since
  int32_t running_index;
  int32_t pinned_cpu;  // -1: wherever the host likes
  uint32_t short_runs;
  double resumed_at_ns;
  double run_ns;  // total time between resumes and stops
};

struct Tracer {
  Header* header = nullptr;
  Record* records = nullptr;
  Tracee* tracees = nullptr;
  Op* ops = nullptr;
  pid_t template_pid = 0;
  int32_t template_cpu = -1;  // as Tracee::pinned_cpu
  size_t fp_bytes = 0;
  std::unordered_map<pid_t, int> slot_of;
  // Released threads that have yet to be told to exit, with their processes.
  std::unordered_map<pid_t, pid_t> leaving;
  std::deque<int> ready;              // stopped while nobody polled
  std::vector<int> running;
};
extern Tracer tracer;

// Starts the platform: the template, the doorbell, the shared memory. 0 or -errno.
int TracerStart();

// The next stopped slot, or -1 when the deadline passed or a descriptor is ready.
int TracerPoll(double deadline_ns);

// Takes in one status of wait4. The slot that stopped, or -1 when there is nothing to report.
int TakeStop(pid_t tid, int status);

// Lets a thread run: 0, or -errno when the host refuses its registers or it is gone.
int ResumeSlot(int slot);
void InterruptSlot(int slot);

// Makes `slot` (-1: the template) clone itself with one of the two sets of flags. The new tid, stopped, or -errno.
long CloneSlot(int slot, uint64_t flags);
// Binds a new thread to a record.
void AdoptThread(pid_t tid, int slot, int from);
// Runs the first `count` operations of the list in the address space of `slot`. 0, or the first
// -errno; the remaining operations are done all the same.
long RunOps(int slot, size_t count);
// Ends one thread of process `pid`, stopped or running, and frees its slot.
void ExitSlot(int slot, pid_t pid);
// Kills process `pid`, whose threads are those of `slots`, and frees them. When it returns none of
// them can touch memory any more.
void KillProcess(pid_t pid, const int32_t* slots, size_t count);

// Which processors threads run on, see affinity.cc.
void AffinityStart();
// Brings a stopped thread to the tracer's processor.
void AffinityFetch(pid_t tid, int32_t* pinned_cpu);
void AffinityBeforeResume(int slot, double now_ns);
void AffinityAfterStop(int slot, double now_ns);
// When somebody should look at the running threads again, and that look.
double AffinityTickAt(double now_ns);
void AffinityTick(double now_ns);
void AffinityBeforeSleep();

}  // namespace runsc

#endif  // RUNSC_NATIVE_TRACER_H_
