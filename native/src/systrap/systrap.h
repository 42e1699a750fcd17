// The systrap platform's state: processes, application threads, and the records JavaScript sees.

#ifndef RUNSC_NATIVE_SYSTRAP_SYSTRAP_H_
#define RUNSC_NATIVE_SYSTRAP_SYSTRAP_H_

#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "../tracer.h"
#include "layout.h"

namespace runsc::systrap {

// The signal by which the Sentry stops a running thread.
constexpr int kInterruptSignal = SIGURG;

// Or'ed to kSyscall when the call came by a signal, and often does from there.
constexpr uint32_t kHotSite = 0x100;
// Or'ed to kSyscall when the record has number and arguments alone, see CompleteRegisters.
constexpr uint32_t kCallOnly = 0x200;

// How many operations JavaScript hands over at once.
constexpr size_t kStagedOps = 4096;
// How often a stopped thread looks at its mailbox before it sleeps, 25 ns each: where a processor is
// free for it, and where others may want it.
constexpr uint32_t kSpins = 6000;
constexpr uint32_t kShortSpins = 1000;
// What is left of that after many times in vain.
constexpr uint32_t kLeastSpins = 125;

// What only the Sentry knows of an application thread.
struct Thread {
  int32_t process = -1;
  int32_t tid = 0;
  bool fresh = false;             // has not run yet since it was made
  bool interrupt_wanted = false;
  bool interrupt_sent = false;    // and the stop it leads to has not been seen
  bool near = false;              // was on the Sentry's processor when last seen
  bool patched = false;           // stopped at a patched call site, without a signal frame
  bool call_only = false;         // the record has not all registers of that stop
  bool parked = true;             // sleeps because the Sentry wants it to
  bool timed = false;             // others share its process: the host's clock does not tell them apart
  int32_t running_index = -1;
  double resumed_at_ns = 0;
  double run_ns = 0;
  user_regs_struct taken;         // the registers of that stop, unless `call_only`
};

// One stub process; its index is that of its control page.
struct Process {
  pid_t pid = 0;
  bool dead = false;
  bool has_copy = false;  // a process nobody knows of may still read its control page
  int32_t cpu = -1;  // that of its memory thread
  std::vector<int> slots;
};

// Where the host lays a stop's state in a thread's area; the same for all. `bytes` is the frame of a
// thread that has done nothing, from `begin` to the end of the area.
struct FrameLayout {
  size_t begin = 0;
  size_t context = 0;
  size_t info = 0;
  size_t fp = 0;
  size_t fp_bytes = 0;
  std::vector<uint8_t> bytes;
};

struct Systrap {
  runsc::Header* shared = nullptr;  // what JavaScript sees, with the records behind it
  Record* records = nullptr;
  std::vector<Thread> threads;  // by slot, as far as they have been used; never moved
  std::vector<Process> processes;
  std::vector<int> free_processes;
  std::vector<int> running;
  std::deque<int> ready;
  std::unordered_set<pid_t> strays;  // ended children that were no process of ours yet
  uint8_t* areas = nullptr;
  uint8_t* controls = nullptr;
  Header* header = nullptr;
  std::unique_ptr<Op[]> staged;  // kStagedOps, which JavaScript writes
  FrameLayout frame;
  uint64_t fp_features = 0;
  uint32_t mxcsr_mask = 0xffff;
  pid_t sentry_pid = 0;
  int template_process = -1;
  int code_fd = -1;
  int header_fd = -1;
  int control_fd = -1;
  int area_fd = -1;
  int result_fd = -1;
  int done_fd = -1;
  int doorbell_fd = -1;
  int epoll_fd = -1;
  int processors = 1;
  std::atomic<bool> child_ended{false};
  cpu_set_t allowed;
  uint64_t ticks_per_ms = 1;
};
extern Systrap systrap;

inline Mailbox* MailboxOf(int slot) {
  return reinterpret_cast<Mailbox*>(systrap.areas + static_cast<size_t>(slot) * kAreaBytes);
}
// Where the application has it.
inline uint64_t AreaAddress(int slot) {
  return kThreads + static_cast<uint64_t>(slot) * kAreaBytes;
}
inline Control* ControlOf(int process) {
  return reinterpret_cast<Control*>(systrap.controls + static_cast<size_t>(process) * kControlBytes);
}

// start.cc
// Empty, or why the platform cannot run here; then nothing of it is left.
std::string Start();

// memory_thread.cc
struct Made {
  long error = 0;   // the first failure, -errno
  uint64_t last = 0;  // the last result
};
// Runs operations in a process; those behind a failed one are done all the same.
Made RunOps(int process, const Op* ops, size_t count);
// A process with the mappings of `process`, and a thread in `slot` that has yet to start. Its index,
// or -errno.
int CloneProcess(int process, int slot);
long CloneThread(int process, int slot);
int TakeProcess();
// Waits for what a memory thread, the only one that has been asked, reports of its list: the first
// error or the last result; -ESRCH when it ends before that.
Made AwaitReport(const Process* who);
// Takes in the ends of children.
void Reap();
void KillProcess(int process);
void ExitThread(int slot);
// Takes all of the application's memory out of a process whose threads are stopped, and parks those.
// 0 or -errno, after which the process can only be killed.
int EmptyProcess(int process);
// Keeps a stopped thread for later, and has it begin anew.
void ParkThread(int slot);
int ReviveThread(int slot);
bool HasEnded(int slot);

// threads.cc
// Header::spin: how often a stopped thread looks now.
uint32_t SpinsOfThreads();

void BindThread(int slot, int process, pid_t tid);
// The slot's thread has nothing left of what ran in it before, and is stopped.
void RenewThread(int slot);
void Forget(int slot);
void ApplyResumes();
void Interrupt(int slot);
// Has all threads of a process stop; what each stopped for is told by the next polls.
void Halt(int process);
void ReportGone(int slot);
// Takes in the stop a running thread's mailbox tells of: whether it is to be reported.
bool TakeStop(int slot);
void Park(int slot);
bool LearnFrame(int slot);
// Lays the frame of a thread that has done nothing. Only while the thread is stopped.
void LayFrame(int slot);
long FpState(int slot, bool set, uint8_t* bytes, size_t length);
void ResetFpState(int slot);
void CopyFpState(int from, int to);
double RunNs(int slot);

// call_sites.cc
bool InEntry(uint64_t address);
// Copies number and arguments of a stop at a patched site.
void FetchCall(int slot);
// Copies the registers which that has left out, if it has.
void CompleteRegisters(int slot);
// Gives a thread stopped there its result. False when more than that has changed.
bool LoadResult(int slot);
// Waits until a thread that has been asked has made its signal frame, and `looks` for it before it
// sleeps. False when the thread is gone, or has been tampered with: it is killed then.
bool AwaitFrame(int slot, bool looks);
// Has a thread stopped there make a signal frame, where floating-point state is and registers can be
// changed. False when it is gone.
bool ToFrame(int slot);
// Counts a call by signal; whether its site is now worth patching. Says so time and again while the
// calls go on to come that way.
bool BecomesHot(uint64_t address, uint64_t number);

// poll.cc
// The processor this thread is on.
uint32_t CurrentCpu();
int Poll(double deadline_ns);
// Keeps the Sentry on its processor until it sleeps in Poll; which that is.
int StayOnCpu();
// Has the mailboxes of running threads looked at once: a slot to report, or -1.
int Scan();

}  // namespace runsc::systrap

#endif  // RUNSC_NATIVE_SYSTRAP_SYSTRAP_H_
