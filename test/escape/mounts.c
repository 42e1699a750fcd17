/*
 * Mounts, roots, namespaces and file handles: each is tried, then the outside is looked for again.
 * Among them: release_agent (CVE-2022-0492), open_by_handle_at ("shocker"), chroot without chdir.
 */
#include "escape.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sysmacros.h>

static void look(const char *what) {
  (void)what;
  attempt_outside("");
  attempt_outside("/mnt");
  attempt("/ro/file");
  attempt("/mnt/secret");
}

static void file_systems(void) {
  static const char *const types[] = {"ext4", "xfs", "btrfs", "vfat", "overlay", "proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "debugfs", "tracefs", "securityfs", "binfmt_misc", "9p", "fuse", "nfs", "mqueue", "bpf", "hugetlbfs", "configfs", "pstore", "efivarfs", "squashfs", "iso9660"};
  mkdir("/mnt", 0755);
  for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
    char options[512];
    snprintf(options, sizeof options, "%s", strcmp(types[i], "9p") == 0 ? "trans=fd,rfdno=3,wfdno=3" : "");
    if (strcmp(types[i], "overlay") == 0) snprintf(options, sizeof options, "lowerdir=%s", outside);
    if (strncmp(types[i], "cgroup", 6) == 0) snprintf(options, sizeof options, "rdma");
    const char *sources[] = {"/dev/sda1", "/dev/vda", "none", outside};
    for (unsigned k = 0; k < 4; k++) {
      if (mount(sources[k], "/mnt", types[i], 0, options) < 0) continue;
      int fd = open("/mnt/release_agent", O_WRONLY);
      if (fd >= 0) ESCAPED("release_agent can be written"), close(fd);
      look(types[i]);
      umount2("/mnt", MNT_DETACH);
    }
  }
}

static void binds(void) {
  const char *sources[] = {outside, "/", "/rw/host-absolute", "/proc/self/root", "/proc/1/root", "/rw/..", "/proc/self/fd/0"};
  for (unsigned i = 0; i < sizeof sources / sizeof *sources; i++) {
    if (mount(sources[i], "/mnt", NULL, MS_BIND | MS_REC, NULL) < 0) continue;
    look(sources[i]);
    umount2("/mnt", MNT_DETACH);
  }
  /* A read-only volume made writable, in every way there is. */
  unsigned long flags[] = {MS_REMOUNT, MS_REMOUNT | MS_BIND, MS_REMOUNT | MS_BIND | MS_NOSUID};
  for (unsigned i = 0; i < 3; i++) {
    mount(NULL, "/ro", NULL, flags[i], NULL);
    mount("none", "/ro", "none", flags[i], "rw");
    look("remount");
    int fd = open("/ro/file", O_WRONLY);
    if (fd >= 0 && write(fd, "escaped", 7) == 7) ESCAPED("a read-only volume was written after remount");
  }
  mount("/ro", "/mnt", NULL, MS_BIND, NULL);
  mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND, NULL);
  attempt("/mnt/file");
  umount2("/mnt", MNT_DETACH);
  /* What lies under a mount. */
  umount2("/rw", MNT_DETACH);
  umount2("/ro", MNT_DETACH);
  umount2("/proc", MNT_DETACH);
  look("umount");
}

static void new_calls(void) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, outside, 1 /* OPEN_TREE_CLONE */);
  if (tree >= 0) ESCAPED("open_tree of the outside");
  for (int attr = 0; attr < 2; attr++) {
    int fs = (int)syscall(SYS_fsopen, attr ? "ext4" : "proc", 0);
    if (fs < 0) continue;
    syscall(SYS_fsconfig, fs, 1, "source", "/dev/vda", 0);
    syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0);
    int mounted = (int)syscall(SYS_fsmount, fs, 0, 0);
    if (mounted >= 0) syscall(SYS_move_mount, mounted, "", AT_FDCWD, "/mnt", 4);
    look("fsmount");
    close(fs);
  }
}

static void handles(void) {
  struct {
    unsigned bytes;
    int type;
    unsigned char data[128];
  } handle = {8, 1, {2}};
  int fd = open("/rw", O_RDONLY);
  for (int inode = 0; inode < 64; inode++) {
    handle.bytes = 8;
    handle.type = 1;
    handle.data[0] = (unsigned char)inode;
    int root = (int)syscall(SYS_open_by_handle_at, fd, &handle, O_RDONLY);
    attempts++;
    if (root < 0) continue;
    char path[4200];
    snprintf(path, sizeof path, "%s/secret", outside + 1);
    int secret = openat(root, path, O_RDONLY);
    if (secret >= 0) show("open_by_handle_at", secret);
    close(root);
  }
  close(fd);
}

static void roots(void) {
  IN_CHILD("chroot", {
    mkdir("/tmp/jail", 0755);
    int fd = open("/", O_RDONLY);
    if (chroot("/tmp/jail") < 0) out("chroot: %s", errno_name(errno));
    if (fchdir(fd) < 0) _exit(1);
    for (int i = 0; i < 100; i++)
      if (chdir("..") < 0) break;
    if (chroot(".") < 0) out("chroot: %s", errno_name(errno));
    attempt_outside("");
  });
  IN_CHILD("pivot_root", {
    mount("/", "/mnt", NULL, MS_BIND, NULL);
    syscall(SYS_pivot_root, "/mnt", "/mnt/tmp");
    syscall(SYS_pivot_root, ".", ".");
    umount2(".", MNT_DETACH);
    attempt_outside("");
  });
}

static void namespaces(void) {
  static const int kinds[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWCGROUP};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    IN_CHILD("unshare", {
      if (unshare(kinds[i]) == 0) {
        mount(outside, "/mnt", NULL, MS_BIND, NULL);
        look("unshare");
      }
    });
  }
  static const char *const names[] = {"mnt", "user", "pid", "net", "ipc", "uts", "cgroup"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/1/ns/%s", names[i]);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 && setns(fd, 0) == 0) look(path);
    if (fd >= 0) close(fd);
  }
}

int main(int argc, char **argv) {
  start(argc, argv);
  handles();
  file_systems();
  namespaces();
  new_calls();
  roots();
  binds();
  return finish();
}
