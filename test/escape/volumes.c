/* Links, "..", hard links, devices and set-ID files in volumes; a read-only volume written to. */
#include "escape.h"
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void links(void) {
  const char *targets[] = {"%s", "../outside", "../../outside", "../../../../../../..%s", "/proc/1/root%s", "/proc/self/root%s", "/rw/..%s", "/ro/../../..%s", "./../rw/../outside", "/proc/self/cwd/../outside", "//..//%s"};
  for (unsigned i = 0; i < sizeof targets / sizeof *targets; i++) {
    char target[4200], link[64], file[80], other[80];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(target, sizeof target, targets[i], outside);
#pragma GCC diagnostic pop
    snprintf(link, sizeof link, "/rw/link%u", i);
    if (symlink(target, link) < 0) out("symlink: %s", errno_name(errno));
    attempt(link);
    snprintf(file, sizeof file, "%s/secret", link);
    attempt(file);
    snprintf(other, sizeof other, "/rw/stolen%u", i);
    linkat(AT_FDCWD, file, AT_FDCWD, other, AT_SYMLINK_FOLLOW);
    attempt(other);
    if (rename(file, other) == 0) ESCAPED("rename out of %s", target);
    snprintf(other, sizeof other, "%s/put", link);
    rename("/rw/file", other);
    truncate(file, 0);
    chown(file, 1, 1);
    lchown(link, 1, 1);
    setxattr(file, "user.escaped", "x", 1, 0);
    utimensat(AT_FDCWD, file, NULL, 0);
    unlink(file);
    rmdir(link);
    char *args[] = {file, NULL};
    pid_t pid = fork();
    if (pid == 0) {
      execv(file, args);
      _exit(0);
    }
    waitpid(pid, NULL, 0);
    if (chdir(link) == 0) {
      attempt("secret");
      attempt("../outside/secret");
      if (chdir("/") < 0) _exit(3);
    }
  }
  attempt("/rw/host-absolute");
  attempt("/rw/host-relative");
  attempt("/ro/host-absolute");
  attempt("/rw/host-chain/secret");
}

static void dots(void) {
  int fd = open("/rw", O_RDONLY | O_DIRECTORY);
  const char *names[] = {"..", "../", "../outside", "../outside/secret", "../../outside/secret", "d/../../outside/secret", "./.././../outside/secret"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    for (unsigned long resolve = 0; resolve < 64; resolve++) {
      struct open_how how = {.flags = resolve & 1 ? O_PATH : O_RDONLY, .resolve = resolve >> 1};
      int in = (int)syscall(SYS_openat2, fd, names[i], &how, sizeof how);
      if (in < 0) continue;
      int secret = openat(in, "outside/secret", O_RDONLY);
      if (secret >= 0) show(names[i], secret), close(secret);
      show(names[i], in);
      close(in);
    }
  }
  /* A directory that is moved while one stands in it. */
  mkdir("/rw/deep", 0755);
  mkdir("/rw/deep/er", 0755);
  int deep = open("/rw/deep/er", O_RDONLY | O_DIRECTORY);
  rename("/rw/deep/er", "/rw/er");
  rmdir("/rw/deep");
  int up = openat(deep, "../../outside/secret", O_RDONLY);
  if (up >= 0) show("moved directory", up);
  rmdir("/rw/er");
  up = openat(deep, "../outside/secret", O_RDONLY);
  if (up >= 0) show("removed directory", up);
  close(deep);
  close(fd);
}

static void hard_links(void) {
  if (link("/ro/file", "/rw/of-ro") == 0) ESCAPED("a hard link between volumes");
  if (link("/rw/file", "/ro/of-rw") == 0) ESCAPED("a hard link into a read-only volume");
  if (link("/rw/file", "/of-rw") == 0) ESCAPED("a hard link out of a volume");
  if (rename("/rw/file", "/of-rw") == 0) ESCAPED("a rename out of a volume");
  if (rename("/ro/file", "/rw/of-ro") == 0) ESCAPED("a rename between volumes");
  int fd = open("/ro/file", O_RDONLY);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (linkat(AT_FDCWD, path, AT_FDCWD, "/rw/by-fd", AT_SYMLINK_FOLLOW) == 0) ESCAPED("linkat of /proc/self/fd");
  if (linkat(fd, "", AT_FDCWD, "/rw/by-fd", AT_EMPTY_PATH) == 0) ESCAPED("linkat AT_EMPTY_PATH");
  close(fd);
}

static void devices(void) {
  const struct {
    mode_t type;
    unsigned major, minor;
  } nodes[] = {{S_IFCHR, 1, 1}, {S_IFCHR, 1, 2}, {S_IFCHR, 1, 4}, {S_IFCHR, 1, 11}, {S_IFBLK, 8, 0}, {S_IFBLK, 8, 1}, {S_IFBLK, 254, 0}, {S_IFBLK, 253, 0}, {S_IFBLK, 259, 0}, {S_IFBLK, 7, 0}, {S_IFCHR, 10, 229}, {S_IFCHR, 10, 200}, {S_IFCHR, 10, 232}, {S_IFCHR, 4, 0}};
  const char *places[] = {"/rw/node", "/node", "/tmp/node", "/dev/node"};
  for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
    for (unsigned k = 0; k < sizeof places / sizeof *places; k++) {
      if (mknod(places[k], nodes[i].type | 0666, makedev(nodes[i].major, nodes[i].minor)) == 0 && k == 0)
        ESCAPED("device %u:%u made in a volume", nodes[i].major, nodes[i].minor);
      int fd = open(places[k], O_RDWR | O_NONBLOCK);
      if (fd < 0) fd = open(places[k], O_RDONLY | O_NONBLOCK);
      if (fd >= 0) ESCAPED("device %u:%u opened", nodes[i].major, nodes[i].minor), close(fd);
      unlink(places[k]);
      attempts++;
    }
  }
  /* The host's administrator put one there: it is not theirs to open either. */
  int fd = open("/rw/host-device", O_RDONLY | O_NONBLOCK);
  if (fd >= 0) ESCAPED("a device of the volume opened"), close(fd);
}

/* A socket and a pipe of the volume, at whose other ends the host has a process. */
static void ends_of_the_host(void) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/rw/host-socket"};
  for (unsigned i = 0; i < 3; i++) {
    int fd = socket(AF_UNIX, types[i], 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
      ESCAPED("connected to a socket of the host");
      show("socket of the host", fd);
    }
    if (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == 1)
      ESCAPED("sent to a socket of the host");
    close(fd);
    attempts++;
  }
  static const int ways[] = {O_RDONLY, O_RDWR, O_WRONLY};
  for (unsigned i = 0; i < 3; i++) {
    int fd = open("/rw/host-fifo", ways[i] | O_NONBLOCK);
    if (fd < 0) continue;
    show("pipe of the host", fd);
    if (write(fd, "escaped", 7) < 0) errno = 0;
    close(fd);
    attempts++;
  }
}

static void set_ids(void) {
  IN_CHILD("an ordinary user's set-ID files", {
    if (setgid(1000) < 0 || setuid(1000) < 0) _exit(1);
    int made = open("/rw/set-id", O_WRONLY | O_CREAT | O_EXCL, 06755);
    if (made < 0) _exit(2);
    fchmod(made, 06755);
    close(made);
    if (chown("/rw/set-id", 0, 0) == 0) ESCAPED("gave a file away");
    mknod("/rw/set-id-node", S_IFREG | 06755, 0);
    mkdir("/rw/set-id-directory", 06755);
    link("/rw/file", "/rw/set-id-link");
  });
}

static void read_only(void) {
  const char *calls[] = {"open", "creat", "mkdir", "unlink", "rename", "link", "symlink", "chmod", "chown", "truncate", "setxattr", "utimes", "mknod", "rdonly|trunc", "fchmod", "fchown", "ftruncate", "remove"};
  int fd = open("/ro/file", O_RDONLY);
  for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
    int r = -1;
    switch (i) {
      case 0: r = open("/ro/file", O_RDWR); break;
      case 1: r = creat("/ro/new", 0644); break;
      case 2: r = mkdir("/ro/new", 0755); break;
      case 3: r = unlink("/ro/file"); break;
      case 4: r = rename("/ro/file", "/ro/other"); break;
      case 5: r = link("/ro/file", "/ro/other"); break;
      case 6: r = symlink("x", "/ro/other"); break;
      case 7: r = chmod("/ro/file", 0777); break;
      case 8: r = chown("/ro/file", 1, 1); break;
      case 9: r = truncate("/ro/file", 0); break;
      case 10: r = setxattr("/ro/file", "user.a", "x", 1, 0); break;
      case 11: r = utimensat(AT_FDCWD, "/ro/file", NULL, 0); break;
      case 12: r = mknod("/ro/new", S_IFREG | 0644, 0); break;
      case 13: r = open("/ro/file", O_RDONLY | O_TRUNC); break;
      case 14: r = fchmod(fd, 0777); break;
      case 15: r = fchown(fd, 1, 1); break;
      case 16: r = ftruncate(fd, 0); break;
      default: r = rmdir("/ro/d");
    }
    attempts++;
    if (r >= 0) ESCAPED("%s on a read-only volume", calls[i]);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int again = open(path, O_RDWR);
  if (again >= 0) ESCAPED("a read-only file opened again for writing");
  close(fd);
}

int main(int argc, char **argv) {
  start(argc, argv);
  links();
  dots();
  hard_links();
  devices();
  ends_of_the_host();
  set_ids();
  read_only();
  attempt_outside("");
  attempt_outside("/../../..");
  return finish();
}
