// The doorbell: wakes the kernel thread out of wait4(2) for descriptors and deadlines.

#ifndef RUNSC_NATIVE_DOORBELL_H_
#define RUNSC_NATIVE_DOORBELL_H_

#include <sys/types.h>

#include <cstdint>

namespace runsc {

constexpr double kNever = __builtin_inf();

double NowNs();

// Starts the doorbell's thread; 0 or -errno. `Doorbell*` functions are the kernel thread's only.
int DoorbellStart();

// The epoll instance whose descriptors are watched.
int DoorbellEpollFd();

// wait4(-1, status, __WALL) that returns -EINTR once the bell rings at `at_ns` or earlier, or a
// watched descriptor is ready.
pid_t DoorbellWait(int* status, double at_ns);

// Sleeps when no child can report a stop: until a descriptor is ready, a child dies or `at_ns`.
// True when a descriptor is ready.
bool DoorbellSleep(double at_ns);

// Whether the doorbell's thread has its stack in [start, end): nobody else may change that.
bool DoorbellStandsIn(uintptr_t start, uintptr_t end);

// Whether a descriptor became ready since DoorbellAnswer.
bool DoorbellRang();
void DoorbellAnswer();

}  // namespace runsc

#endif  // RUNSC_NATIVE_DOORBELL_H_
