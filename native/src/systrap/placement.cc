// On which processor application threads are woken: the Sentry's or another one.
//
// Apart, thread and Sentry spin for each other, and a short call costs a fraction of a microsecond; but one
// that outlasts the spinning costs waking an idle processor. Together, each stop is two switches,
// however long it takes. So both prices are added up as calls come, and a thread that has to be woken
// anyway is woken beside the Sentry while that has been cheaper. It is not kept there: it is free once it
// is in the queue of that processor, and the host moves it when another one has nothing to do.

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <atomic>

#include "systrap.h"

namespace runsc::systrap {
namespace {

// What a stop and its answer cost more together than apart; µs.
constexpr int kSwitches = 8;
// Where it changes sides, and how much is remembered.
constexpr int kSure = 200;
constexpr int kMost = 400;
// What would have outlasted the spinning of the thread.
constexpr double kLongCallUs = 25;
// Parent and child of a fork are let go this close to each other; one of them will soon wait.
constexpr double kPairUs = 50;

// How often somebody is bound before it is tried what the host does by itself: while the other processors are
// busy it is the same, and while this one is, it may know a better one.
constexpr int kBoundInARow = 64;

int balance = 0;
bool together = false;
int to_bind = 0;
// The same of the Sentry: it is bound to the processor it has, or was not when it last went to sleep on this.
bool stays = false;
int to_stay = 0;
int tried_on = -1;

double MicrosecondsSince(uint64_t begin) {
  return static_cast<double>(__rdtsc() - begin) * 1e3 / static_cast<double>(systrap.ticks_per_ms);
}

void Bind(Thread* thread, int cpu) {
  if (thread->bound == cpu) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  if (cpu >= 0) CPU_SET(cpu, &one);
  const cpu_set_t* set = cpu >= 0 ? &one : &systrap.allowed;
  if (sched_setaffinity(thread->tid, sizeof one, set) == 0) thread->bound = cpu;
}

// Whether a thread was on the Sentry's processor when it stopped.
bool IsNear(int slot) {
  return std::atomic_ref<uint32_t>(MailboxOf(slot)->cpu).load() == systrap.header->cpu;
}

void Charge(int paid) {
  balance = std::clamp(balance + paid, -kMost, kMost);
  if (together ? balance < -kSure : balance > kSure) together = !together;
}

// Whether a thread may join the Sentry: not beside another one, but for parent and child of a fork.
bool MayJoin(const Thread& thread) {
  if (systrap.running.empty()) return true;
  if (systrap.running.size() > 1) return false;
  const Thread& other = systrap.threads[static_cast<size_t>(systrap.running[0])];
  bool forked = thread.begins || other.begins;
  return forked && other.near && MicrosecondsSince(other.let_go_at) < kPairUs;
}

void NoteCall(Thread* thread, bool asleep) {
  if (together) {
    bool outlasts = MicrosecondsSince(thread->stopped_at) > kLongCallUs;
    Charge(outlasts ? WakeUs() : -kSwitches / 2);
  } else if (!asleep) {
    Charge(-kSwitches);
  } else if (!thread->near) {
    Charge(WakeUs());
  }
}

}  // namespace

void NoteStop(int slot, bool slept) {
  if (systrap.processors == 1) return;
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  thread.begins = false;
  if (together) {
    bool outlasts = MicrosecondsSince(thread.let_go_at) > 2 * WakeUs() + kSwitches;
    Charge(outlasts ? WakeUs() : -kSwitches / 2);
    thread.stopped_at = __rdtsc();
    if (thread.tried && !IsNear(slot)) to_bind = kBoundInARow;
    thread.tried = false;
  } else if (slept && !thread.near) {
    Charge(WakeUs());
  }
}

void Wake(int slot) {
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  bool joins = together && MayJoin(thread);
  bool binds = joins && to_bind > 0;
  if (systrap.processors > 1) Bind(&thread, binds ? sched_getcpu() : -1);
  syscall(SYS_futex, &MailboxOf(slot)->state, FUTEX_WAKE, 1);
  if (binds) {
    Bind(&thread, -1);
    to_bind--;
  }
  thread.tried = joins && !binds;
  thread.near = binds || IsNear(slot);
}

void LetGo(int slot) {
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  bool asleep = std::atomic_ref<uint32_t>(MailboxOf(slot)->state).exchange(kMailRun) == kMailAsleep;
  if (systrap.processors > 1) NoteCall(&thread, asleep);
  thread.near = IsNear(slot);
  if (asleep) Wake(slot);
  if (together) thread.let_go_at = __rdtsc();
}

int StayOnCpu() {
  int cpu = sched_getcpu();
  if (stays || systrap.shared == nullptr || systrap.processors == 1) return cpu;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  stays = sched_setaffinity(0, sizeof one, &one) == 0;
  return sched_getcpu();
}

void MayLeave() {
  if (stays) sched_setaffinity(0, sizeof systrap.allowed, &systrap.allowed);
  stays = false;
}

void StayBeside() {
  if (to_stay > 0) {
    to_stay--;
    StayOnCpu();
  } else {
    MayLeave();
    tried_on = static_cast<int>(CurrentCpu());
  }
}

void NoteWhere() {
  if (tried_on >= 0 && static_cast<int>(CurrentCpu()) != tried_on) to_stay = kBoundInARow;
  tried_on = -1;
}

bool WokenFromBeside() {
  return together && !systrap.running.empty() &&
         std::all_of(systrap.running.begin(), systrap.running.end(), [](int slot) {
           return systrap.threads[static_cast<size_t>(slot)].near;
         });
}

}  // namespace runsc::systrap
