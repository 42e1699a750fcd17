// Which processor an application thread runs on.
//
// Tracer and tracee alternate strictly, so on one processor a stop costs a context switch, while
// on two it costs waking an idle one: 7 against 90 µs where this was measured. Threads therefore
// start out pinned to the tracer's processor. One that runs on without a stop is computing: it is
// let go at once when others want to run too, and a little later even when it is alone. After a
// few short runs it is fetched back.

#include <errno.h>
#include <sched.h>

#include <algorithm>

#include "doorbell.h"
#include "tracer.h"

namespace runsc {
namespace {

constexpr double kComputingNs = 2e6;   // still running after this: let go
constexpr double kShortRunNs = 300e3;  // a run longer than this gains by a processor of its own
constexpr uint32_t kShortRuns = 3;     // this many in a row and a thread is fetched back
constexpr double kTickNs = 5e6;

cpu_set_t allowed;
bool several = false;
int tracer_cpu = -1;  // -1: not pinned

void Pin(pid_t tid, int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(tid, sizeof one, &one);
}

void Unpin(int slot) {
  sched_setaffinity(tracer.records[slot].tid, sizeof allowed, &allowed);
  tracer.tracees[slot].pinned_cpu = -1;
  tracer.tracees[slot].short_runs = 0;
}

}  // namespace

void AffinityStart() {
  several = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

void AffinityFetch(pid_t tid, int32_t* pinned_cpu) {
  if (!several) return;
  if (tracer_cpu < 0) {
    tracer_cpu = sched_getcpu();
    Pin(0, tracer_cpu);
  }
  if (*pinned_cpu == tracer_cpu) return;
  Pin(tid, tracer_cpu);
  *pinned_cpu = tracer_cpu;
}

void AffinityBeforeResume(int slot, double now_ns) {
  Tracee& tracee = tracer.tracees[slot];
  tracee.resumed_at_ns = now_ns;
  if (tracee.short_runs >= kShortRuns) {
    AffinityFetch(tracer.records[slot].tid, &tracee.pinned_cpu);
  } else if (tracee.pinned_cpu >= 0 && !tracer.running.empty()) {
    Unpin(slot);
  }
}

void AffinityAfterStop(int slot, double now_ns) {
  Tracee& tracee = tracer.tracees[slot];
  double ran_ns = now_ns - tracee.resumed_at_ns;
  tracee.run_ns += ran_ns;
  tracee.short_runs = ran_ns < kShortRunNs ? tracee.short_runs + 1 : 0;
}

double AffinityTickAt(double now_ns) {
  if (!several) return kNever;
  bool pinned = std::any_of(tracer.running.begin(), tracer.running.end(),
                            [](int slot) { return tracer.tracees[slot].pinned_cpu >= 0; });
  return pinned ? now_ns + kTickNs : kNever;
}

void AffinityTick(double now_ns) {
  for (int slot : tracer.running) {
    Tracee& tracee = tracer.tracees[slot];
    if (tracee.pinned_cpu >= 0 && now_ns - tracee.resumed_at_ns > kComputingNs) Unpin(slot);
  }
}

void AffinityBeforeSleep() {
  if (tracer_cpu < 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
  tracer_cpu = -1;
}

}  // namespace runsc
