// On which processor application threads run: the Sentry's or another one.
//
// Apart, thread and Sentry spin for each other, and a short call costs a fraction of a microsecond; but one
// that outlasts the spinning costs waking an idle processor, some 40. Together, each stop is a
// switch, 6 more than spinning, however long it takes. A program that makes many short calls is
// better off apart, and one that forks, executes and waits together. So both prices are added up as calls
// come, and a thread that has to be woken anyway is bound to the Sentry's processor while that pays.
// Threads that run beside others are left to the host, and so is whoever runs for long.

#include <sched.h>
#include <x86intrin.h>

#include <algorithm>

#include "systrap.h"

namespace runsc::systrap {
namespace {

// What waking a processor costs, switching instead of spinning, and keeping two threads on one
// processor for kPatienceNs; µs.
constexpr int kWake = 40;
constexpr int kSwitch = 6;
constexpr int kMistake = 200;
// Where it changes sides, and how much is remembered.
constexpr int kSure = 200;
constexpr int kMost = 400;
// What would have outlasted the spinning of thread and Sentry.
constexpr double kLongCallUs = 25;
constexpr double kLongRunUs = 60;
// Two threads let go this close to each other: one of them is likely to wait for the other at once.
constexpr double kPairUs = 50;

int balance = 0;
bool together = false;
bool ran_long = false;
uint64_t stopped_at = 0;
uint64_t let_go_at = 0;

double MicrosecondsSince(uint64_t begin) {
  return static_cast<double>(__rdtsc() - begin) * 1e3 / static_cast<double>(systrap.ticks_per_ms);
}

void SetProcessor(Thread* thread, int cpu) {
  if (thread->bound == cpu) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  if (cpu >= 0) CPU_SET(cpu, &one);
  const cpu_set_t* set = cpu >= 0 ? &one : &systrap.allowed;
  if (sched_setaffinity(thread->tid, sizeof one, set) == 0) thread->bound = cpu;
}

void Weigh(bool call_long) {
  int paid = (call_long ? kWake : 0) + (ran_long ? kWake : 0);
  balance = std::clamp(balance + (paid > 0 ? paid : -kSwitch), -kMost, kMost);
  if (together ? balance < -kSure : balance > kSure) together = !together;
}

bool RunsNear(int slot) { return systrap.threads[static_cast<size_t>(slot)].bound >= 0; }

}  // namespace

void NoteStop(bool slept) {
  ran_long = slept;
  if (!together) return;
  ran_long = MicrosecondsSince(let_go_at) > kLongRunUs;
  stopped_at = __rdtsc();
}

void Place(int slot, bool asleep) {
  if (systrap.processors == 1) return;
  Thread& thread = systrap.threads[static_cast<size_t>(slot)];
  Weigh(together ? MicrosecondsSince(stopped_at) > kLongCallUs : asleep);
  ran_long = false;
  if (!asleep) return;
  size_t others = systrap.running.size();
  bool joins = others == 0;
  if (others == 1 && together) {
    joins = RunsNear(systrap.running[0]) && MicrosecondsSince(let_go_at) < kPairUs;
  }
  SetProcessor(&thread, together && joins ? static_cast<int>(CurrentCpu()) : -1);
  if (together) let_go_at = __rdtsc();
}

bool AnyNear() {
  return std::any_of(systrap.running.begin(), systrap.running.end(), RunsNear);
}

void Spread() {
  if (systrap.running.size() > 1) balance = std::max(balance - kMistake, -kMost);
  for (int slot : systrap.running) SetProcessor(&systrap.threads[static_cast<size_t>(slot)], -1);
}

}  // namespace runsc::systrap
