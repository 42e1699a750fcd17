/* User and group ids, supplementary groups, capabilities across setuid. */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void ids(const char *when) {
  uid_t r, e, s;
  gid_t rg, eg, sg;
  getresuid(&r, &e, &s);
  getresgid(&rg, &eg, &sg);
  out("%s: uid %d %d %d gid %d %d %d", when, r, e, s, rg, eg, sg);
}

static void caps(const char *when) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  syscall(SYS_capget, &header, data);
  out("%s: chown effective %d permitted %d", when, data[0].effective & 1, data[0].permitted & 1);
}

int main(void) {
  ids("start");
  caps("start");
  gid_t groups[] = {10, 20, 30};
  R(setgroups(3, groups));
  gid_t got[8];
  R(getgroups(8, got));
  R(getgroups(0, NULL));
  R(getgroups(1, got));
  IN_CHILD("setuid is final for root", {
    R(setgid(500));
    R(setuid(1000));
    ids("after");
    caps("after");
    R(setuid(0));
    R(seteuid(0));
    R(setgroups(0, NULL));
    R(setgid(0));
    R(setgid(500));
    R(kill(1, 0));
    R(chown("/", 1, 1));
    R(chroot("/"));
    R(sethostname("x", 1));
  });
  IN_CHILD("seteuid comes back", {
    R(seteuid(1000));
    caps("while away");
    ids("while away");
    R(open("/etc/shadow_none", O_RDONLY));
    R(seteuid(0));
    caps("back");
  });
  IN_CHILD("setresuid", {
    R(setresuid(1, 2, 3));
    ids("after");
    R(setresuid(2, 3, 1));
    ids("permuted");
    R(setresuid(-1, 4, -1));
    R(setreuid(3, -1));
    ids("reuid");
    R(setfsuid(9));
    R(setfsuid(-1));
  });
  IN_CHILD("keepcaps", {
    R(prctl(PR_SET_KEEPCAPS, 1));
    R(setuid(1000));
    caps("kept");
  });
  IN_CHILD("bounding", {
    R(prctl(PR_CAPBSET_READ, CAP_CHOWN));
    R(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
    R(prctl(PR_CAPBSET_READ, CAP_CHOWN));
    R(prctl(PR_CAPBSET_READ, 63));
    caps("still");
  });
  IN_CHILD("ambient", {
    R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
    R(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
  });
  /* A set-user-id program as someone else. */
  char path[256];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  T(n > 0);
  struct __user_cap_header_struct header = {0x1234, 0};
  R(syscall(SYS_capget, &header, NULL));
  out("preferred version %x", header.version);
  return 0;
}
