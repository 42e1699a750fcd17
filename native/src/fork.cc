// fork(): a second Node process out of this one, see fork(2).
//
// Sound only in a process with one thread (node --single-threaded --v8-pool-size=0
// --disable-sigusr1) and nothing pending on libuv's thread pool. V8 marks its own mappings
// MADV_DONTFORK; they are unmarked first, or the child would crash at its first step. The child
// must leave through exit(), never through Node's own exit, and must ask getpid() of the host:
// process.pid stays the parent's.

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "addon.h"
#include "own_maps.h"
#include "shared_text.h"

namespace runsc {
namespace {

// Lets a fork inherit every mapping. Special mappings (vvar) refuse, and need not be asked.
void UnmarkMappings() {
  for (const Mapping& mapping : OwnMappings()) {
    madvise(reinterpret_cast<void*>(mapping.start), mapping.end - mapping.start, MADV_DOFORK);
  }
}

// A fork() into new namespaces, which libc has none of. Its locks are free, as the other threads sleep; what
// it would renew in the child is the number of the thread, and that the kernel writes where libc keeps it.
pid_t ForkInto(unsigned long namespaces) {
  int* tid = nullptr;
  unsigned long flags = namespaces | SIGCHLD;
  if (prctl(PR_GET_TID_ADDRESS, &tid) == 0) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  return static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, tid, nullptr));
}

// fork(namespaces): CLONE_NEW* flags that the child alone is in, or 0.
napi_value Fork(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  unsigned long namespaces = static_cast<unsigned long>(IntArg(env, argv[0]));
  ShareText();
  UnmarkMappings();
  malloc_trim(0);
  pid_t pid = namespaces == 0 ? fork() : ForkInto(namespaces);
  if (pid < 0) return MakeNumber(env, -errno);
  return MakeNumber(env, pid);
}

// quietLoop(): in a forked child the event loop never runs, and its descriptors may go. V8 still tells
// it of work to do by a write to one of them, and Node aborts when that fails: it is /dev/null from
// now on, descriptor 1.
napi_value QuietLoop(napi_env env, napi_callback_info) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
  loop->async_io_watcher.fd = STDOUT_FILENO;
  if (loop->async_wfd >= 0) loop->async_wfd = STDOUT_FILENO;
  return nullptr;
}

// exit(status): leaves at once, without running anybody's exit handlers.
napi_value Exit(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  size_t argc = 1;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  _exit(static_cast<int>(IntArg(env, argv[0])));
}

napi_value GetPid(napi_env env, napi_callback_info) {
  return MakeNumber(env, static_cast<double>(syscall(SYS_getpid)));
}

}  // namespace

void ExportFork(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "fork", Fork);
  Export(env, exports, "quietLoop", QuietLoop);
  Export(env, exports, "exit", Exit);
  Export(env, exports, "getpid", GetPid);
}

}  // namespace runsc
