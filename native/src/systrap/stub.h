// The code that runs inside stub processes, and how the first of them is made. See stub.cc.

#ifndef RUNSC_NATIVE_SYSTRAP_STUB_H_
#define RUNSC_NATIVE_SYSTRAP_STUB_H_

#include <linux/sched.h>
#include <signal.h>
#include <sys/types.h>

#include <cstdint>

struct sock_filter;

namespace runsc::systrap {

// The code page as a file, or -errno.
int MakeCodeFile();
uint64_t HandlerAddress();
uint64_t RestorerAddress();
// Where patched call sites enter, up to where they have left again.
uint64_t EntryAddress();
uint64_t EntryEnd();

// Makes a process that holds nothing of this one but what `PrepareTemplate`'s list will unmap, and
// whose memory thread runs the control page at the start of `control_fd`. Its parent, which ends at
// once, is returned; or -errno. All signals must be blocked.
pid_t CloneTemplate(int code_fd, int header_fd, int control_fd);

// clone(2) as memory threads make it: of a process and of an application thread.
constexpr uint64_t kProcessFlags = CLONE_PARENT | CLONE_FILES | SIGCHLD;
constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                  CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;

// The filters, see filter.cc: how many instructions were written.
size_t WriteProcessFilter(sock_filter* into);
size_t WriteThreadFilter(sock_filter* into, int doorbell_fd);

}  // namespace runsc::systrap

#endif  // RUNSC_NATIVE_SYSTRAP_STUB_H_
