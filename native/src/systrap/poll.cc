// The one place where the Sentry waits: for stopped threads, host descriptors, deadlines and ends of
// processes. While it sleeps, stopping threads ring the doorbell; while it spins, they need not.

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <atomic>

#include "../doorbell.h"
#include "systrap.h"

namespace runsc::systrap {
namespace {

// What sleeping and being woken may cost: from the doorbell to the end of the sleep, 5 µs on a bare
// machine and tens where an idle processor has left its virtual machine, and as much again for the thread, which
// sleeps as well when its answer takes that long. Threads tell when they rang, and can lie: within these
// bounds it is their own sandbox's time.
constexpr double kSides = 2;
constexpr double kLeastWakeNs = 20e3;
constexpr double kMostWakeNs = 100e3;
constexpr double kFirstWakeNs = 60e3;
// A sample says this much.
constexpr double kWakeWeight = 1.0 / 8;
// What is still spent on looking when that has been in vain lately.
constexpr double kLeastSpinNs = 2e3;
// Descriptors and children are looked at between this many stops.
constexpr uint32_t kLookAfter = 64;

uint32_t polls = 0;
int last_reported = -1;
size_t scan_from = 0;
// The Sentry is bound to the processor it has.
bool stays = false;
// What being woken costs: longer than that a stop is not worth looking out for.
double wake_ns = kFirstWakeNs;
// How long it spins now: less after each time in vain, all again once it would have paid.
double spin_ns = kFirstWakeNs;
// When the last sleep was ended by the doorbell, by the time stamp counter; 0 once that is used.
uint64_t woken_at = 0;

bool DescriptorReady() {
  pollfd fd = {systrap.epoll_fd, POLLIN, 0};
  timespec none{};
  return ppoll(&fd, 1, &none, nullptr) > 0;
}

int TakeReady() {
  if (systrap.ready.empty()) return -1;
  int slot = systrap.ready.front();
  systrap.ready.pop_front();
  return slot;
}

// Worth it when a processor is left for the Sentry, and no thread waits for the one it has.
bool MaySpin() {
  if (systrap.running.size() >= static_cast<size_t>(systrap.processors)) return false;
  return std::any_of(systrap.running.begin(), systrap.running.end(),
                     [](int slot) { return !systrap.threads[static_cast<size_t>(slot)].near; });
}

int Spin(double limit_ns) {
  uint64_t limit =
      static_cast<uint64_t>(limit_ns * 1e-6 * static_cast<double>(systrap.ticks_per_ms));
  // A pause is as long as a short call takes: not at once.
  for (int i = 0; i < 64; i++) {
    if (int slot = Scan(); slot >= 0) return slot;
  }
  for (uint64_t begin = __rdtsc(); __rdtsc() - begin < limit;) {
    for (int i = 0; i < 16; i++) {
      if (int slot = Scan(); slot >= 0) return slot;
      _mm_pause();
    }
  }
  return -1;
}

// Learns from a sleep that began at `begin_ns`. The waking is part of it, and costs as much again.
void LearnFromSleep(double begin_ns) {
  bool paid = NowNs() - begin_ns < 2 * wake_ns;
  spin_ns = paid ? wake_ns : std::max(spin_ns / 2, kLeastSpinNs);
  systrap.shared->spin_ns = static_cast<uint32_t>(spin_ns);
}

// The thread in `slot` seems to have ended the last sleep. If it was another, or has had to wait for a
// processor, the sample is far off and does not count.
void LearnFromWaking(int slot) {
  uint32_t ticks = static_cast<uint32_t>(woken_at) - MailboxOf(slot)->rang;
  woken_at = 0;
  // From its own processor it is a switch, for which nobody spins.
  if (systrap.threads[static_cast<size_t>(slot)].near) return;
  double ns = static_cast<double>(ticks) * 1e6 / static_cast<double>(systrap.ticks_per_ms);
  if (ns > 2 * kMostWakeNs) return;
  wake_ns += (std::clamp(kSides * ns, kLeastWakeNs, kMostWakeNs) - wake_ns) * kWakeWeight;
  systrap.shared->wake_ns = static_cast<uint32_t>(wake_ns);
}

timespec ToTimespec(double ns) {
  auto seconds = static_cast<time_t>(ns / 1e9);
  return {seconds, static_cast<long>(ns - static_cast<double>(seconds) * 1e9)};
}

// Sleeps until something happens. True when a descriptor is ready.
bool Sleep(double deadline_ns) {
  sigset_t open;
  pthread_sigmask(SIG_BLOCK, nullptr, &open);
  sigdelset(&open, SIGCHLD);
  if (stays) sched_setaffinity(0, sizeof systrap.allowed, &systrap.allowed);
  stays = false;
  pollfd fds[] = {{systrap.epoll_fd, POLLIN, 0}, {systrap.doorbell_fd, POLLIN, 0}};
  timespec timeout{};
  if (deadline_ns != kNever) timeout = ToTimespec(std::max(deadline_ns - NowNs(), 0.0));
  int count = ppoll(fds, 2, deadline_ns == kNever ? nullptr : &timeout, &open);
  if (systrap.child_ended.exchange(false)) Reap();
  if (count < 0) return false;
  uint64_t rings = 0;
  if (fds[1].revents != 0) woken_at = __rdtsc();
  if (fds[1].revents != 0) (void)!read(systrap.doorbell_fd, &rings, sizeof rings);
  return fds[0].revents != 0;
}

int Found(int slot) {
  last_reported = slot;
  return slot;
}

}  // namespace

uint32_t CurrentCpu() {
  // Linux keeps it in the limit of this segment, for getcpu(2) in the vDSO.
  uint32_t limit = 0x7b;
  asm("lsl %0, %0" : "+r"(limit)::"cc");
  return limit & 0xfff;
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

int Scan() {
  size_t count = systrap.running.size();
  for (size_t i = 0; i < count; i++) {
    if (scan_from >= systrap.running.size()) scan_from = 0;
    if (systrap.running.empty()) return -1;
    int slot = systrap.running[scan_from++];
    uint32_t state = std::atomic_ref<uint32_t>(MailboxOf(slot)->state).load();
    if ((state == kMailStopped || state == kMailAsleep) && TakeStop(slot)) return slot;
  }
  return -1;
}

int Poll(double deadline_ns) {
  if (uint32_t cpu = CurrentCpu(); cpu != systrap.header->cpu) systrap.header->cpu = cpu;
  ApplyResumes();
  // A thread that was not resumed at once waits for something: it should not spin for it.
  if (last_reported >= 0 && systrap.records[last_reported].state == kStopped) Park(last_reported);
  last_reported = -1;
  if (++polls % kLookAfter == 0) {
    if (systrap.child_ended.exchange(false)) Reap();
    if (DescriptorReady()) return -1;
  }
  for (;;) {
    if (int slot = TakeReady(); slot >= 0) return Found(slot);
    if (int slot = Scan(); slot >= 0) {
      if (woken_at != 0) LearnFromWaking(slot);
      return Found(slot);
    }
    woken_at = 0;
    if (deadline_ns <= 0) return -1;
    double left_ns = deadline_ns == kNever ? kMostWakeNs : deadline_ns - NowNs();
    if (left_ns <= 0) return -1;
    bool spun = MaySpin();
    if (spun) {
      if (int slot = Spin(std::min(left_ns, spin_ns)); slot >= 0) return Found(slot);
    }
    double begin_ns = spun ? NowNs() : 0;
    std::atomic_ref<uint32_t> sleeping(systrap.header->sleeping);
    sleeping.store(1);
    int slot = Scan();
    bool ready = slot < 0 && Sleep(deadline_ns);
    sleeping.store(0);
    if (spun) LearnFromSleep(begin_ns);
    if (slot >= 0) return Found(slot);
    if (ready) return -1;
  }
}

}  // namespace runsc::systrap
