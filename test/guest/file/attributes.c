/* Permissions as another user, ownership, times, statx, extended attributes, umask, access. */
#include "guest.h"
#include <sys/mman.h>
#include <sys/xattr.h>
#include <sys/time.h>
#include <sys/sysmacros.h>

static void mode(const char *path) {
  struct stat st;
  if (lstat(path, &st) < 0) out("%s: %s", path, errno_name(errno));
  else out("%s: mode %o uid %d gid %d", path, st.st_mode, st.st_uid, st.st_gid);
}

static void times(const char *path) {
  struct stat st;
  stat(path, &st);
  out("atime %ld.%09ld mtime %ld.%09ld", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void as_user(void) {
  setgid(1000);
  setuid(1000);
  R(open("private", O_RDONLY));
  R(open("public", O_WRONLY));
  OK(open("public", O_RDONLY));
  R(open("closed/x", O_RDONLY));
  R(stat("closed/x", &(struct stat){0}));
  R(open("closed", O_RDONLY));
  R(unlink("closed/x"));
  R(access("private", R_OK));
  R(access("public", R_OK | W_OK));
  R(access("public", R_OK));
  R(access("program", X_OK));
  R(chmod("public", 0777));
  R(chown("public", 1000, 1000));
  R(utimensat(AT_FDCWD, "public", NULL, 0));
  R(utimensat(AT_FDCWD, "writable", NULL, 0));
  R(utimensat(AT_FDCWD, "writable", (struct timespec[2]){{1, 0}, {2, 0}}, 0));
  R(unlink("sticky/theirs"));
  OK(open("sticky/mine", O_CREAT | O_RDWR, 0666));
  R(rename("sticky/theirs", "sticky/other"));
  R(unlink("sticky/mine"));
  R(mknod("node", S_IFCHR | 0600, makedev(1, 3)));
  OK(open("setgid/inherits", O_CREAT | O_RDWR, 02770));
  mode("setgid/inherits");
  R(mkdir("setgid/directory", 0755));
  mode("setgid/directory");
  OK(open("setgid/own", O_CREAT | O_RDWR, 0600));
  R(chmod("setgid/own", 02777));
  mode("setgid/own");
  R(chown("setgid/own", -1, 5));
  R(chown("setgid/own", -1, 1000));
  R(chown("setgid/own", 0, -1));
  R(setxattr("public", "user.x", "v", 1, 0));
  R(truncate("public", 0));
}

static int all(const char *bytes, size_t count, char value) {
  for (size_t i = 0; i < count; i++)
    if (bytes[i] != value) return 0;
  return 1;
}

/* Structures at the start of a page, at odd places, across two pages, and where the memory ends. */
static void places(const char *path) {
  static const size_t at[] = {0, 1001, 4096 - sizeof(struct stat), 4000, 4095, 8192 - sizeof(struct stat)};
  char *memory = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(memory + 8192, 4096);
  struct stat st;
  memset(&st, 0, sizeof st);
  stat(path, &st);
  for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
    char *place = memory + at[i];
    memset(memory, 0x5a, 8192);
    R(syscall(SYS_newfstatat, AT_FDCWD, path, place, 0));
    T(memcmp(place, &st, sizeof st) == 0);
    T(all(memory, at[i], 0x5a) && all(place + sizeof st, 8192 - at[i] - sizeof st, 0x5a));
  }
  R(syscall(SYS_newfstatat, AT_FDCWD, path, memory + 8192 - sizeof st + 1, 0));
  mprotect(memory, 4096, PROT_READ);
  R(syscall(SYS_newfstatat, AT_FDCWD, path, memory, 0));
  mprotect(memory, 4096, PROT_READ | PROT_WRITE);
  int fd = open(path, O_RDWR);
  struct flock lock = {.l_type = F_WRLCK, .l_start = 3, .l_len = 4};
  for (size_t i = 0; i < 5; i++) {
    memcpy(memory + at[i], &lock, sizeof lock);
    R(fcntl(fd, F_OFD_SETLK, memory + at[i]));
    lock.l_start += 10;
  }
  R(fcntl(fd, F_OFD_SETLK, memory + 8192 - sizeof lock + 1));
  int other = open(path, O_RDWR);
  for (off_t start = 0; start < 60; start += 10) {
    struct flock held = {.l_type = F_WRLCK, .l_start = start, .l_len = 10};
    R(fcntl(other, F_OFD_GETLK, &held));
    out("type %d from %ld, %ld bytes", held.l_type, (long)held.l_start, (long)held.l_len);
  }
  close(other);
  close(fd);
}

int main(void) {
  umask(0);
  struct stat st;
  write_file("private", "x");
  chmod("private", 0600);
  write_file("public", "x");
  chmod("public", 0644);
  write_file("writable", "x");
  chmod("writable", 0666);
  write_file("program", "#!/bin/true");
  R(access("program", X_OK));
  chmod("program", 0711);
  R(access("program", X_OK));
  mkdir("closed", 0700);
  write_file("closed/x", "");
  mkdir("sticky", 01777);
  write_file("sticky/theirs", "");
  mkdir("setgid", 02777);
  chown("setgid", 0, 77);
  chmod("setgid", 02777);
  mode("setgid");
  IN_CHILD("user", as_user());
  IN_CHILD("in the group", {
    setgid(77);
    setuid(1000);
    OK(open("setgid/g", O_CREAT | O_RDWR, 0600));
    R(chmod("setgid/g", 02755));
    mode("setgid/g");
  });

  write_file("f", "content");
  R(chmod("f", 07777));
  mode("f");
  R(chown("f", 5, 6));
  mode("f");
  R(chmod("f", 04711));
  write_file("f2", "");
  chmod("f2", 06755);
  int fd = open("f2", O_WRONLY);
  IN_CHILD("write drops set-user-id", {
    setuid(1000);
    R(write(fd, "x", 1));
  });
  mode("f2");
  R(chmod("none", 0600));
  R(fchmod(99, 0600));
  R(fchown(99, 0, 0));
  symlink("f", "l");
  R(lchown("l", 9, 9));
  mode("l");
  mode("f");
  umask(077);
  OK(open("masked", O_CREAT | O_RDWR, 0777));
  mode("masked");
  mkdir("masked_directory", 01777);
  mode("masked_directory");

  struct timespec t[2] = {{1000000000, 123456789}, {-5, 1}};
  R(utimensat(AT_FDCWD, "f", t, 0));
  times("f");
  t[0].tv_nsec = UTIME_OMIT;
  t[1].tv_nsec = UTIME_NOW;
  R(utimensat(AT_FDCWD, "f", t, 0));
  stat("f", &st);
  out("atime kept %d, mtime now %d", st.st_atim.tv_sec == 1000000000, llabs((long long)(st.st_mtim.tv_sec - time(NULL))) < 5);
  t[0].tv_nsec = 1000000000;
  R(utimensat(AT_FDCWD, "f", t, 0));
  R(utimensat(AT_FDCWD, "none", NULL, 0));
  R(utimes("f", (struct timeval[2]){{1, 2}, {3, 4}}));
  times("f");
  struct timespec before = {100, 0}, both[2] = {before, before};
  utimensat(AT_FDCWD, "f", both, 0);
  char c;
  fd = open("f", O_RDWR);
  read(fd, &c, 1);
  stat("f", &st);
  out("mtime after read kept %d", st.st_mtim.tv_sec == 100);
  write(fd, "x", 1);
  stat("f", &st);
  out("mtime after write new %d, ctime new %d", st.st_mtim.tv_sec != 100, llabs((long long)(st.st_ctim.tv_sec - time(NULL))) < 5);
  utimensat(AT_FDCWD, ".", both, 0);
  write_file("another", "");
  stat(".", &st);
  out("directory's mtime new %d", st.st_mtim.tv_sec != 100);

  struct statx x;
  memset(&x, 0xff, sizeof x);
  R(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &x));
  out("mask %x mode %o size %lld links %d uid %d", x.stx_mask & STATX_BASIC_STATS, x.stx_mode, (long long)x.stx_size, x.stx_nlink, x.stx_uid);
  R(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
  out("type %o", x.stx_mode & S_IFMT);
  R(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &x));
  R(statx(AT_FDCWD, "f", 0, 0x80000000, &x));
  R(statx(AT_FDCWD, "f", 0x40000, 0, &x));
  R(statx(AT_FDCWD, "f", 0, 0, (struct statx *)8));
  R(stat("f", (struct stat *)8));
  R(stat((char *)8, &st));

  R(setxattr("f", "user.one", "first", 5, 0));
  R(setxattr("f", "user.one", "x", 1, XATTR_CREATE));
  R(setxattr("f", "user.two", "x", 1, XATTR_REPLACE));
  R(setxattr("f", "user.two", "", 0, XATTR_CREATE));
  char value[100] = "";
  R(getxattr("f", "user.one", value, 100));
  out("%s", value);
  R(getxattr("f", "user.one", value, 2));
  R(getxattr("f", "user.one", NULL, 0));
  R(getxattr("f", "user.none", value, 100));
  R(setxattr("f", "nonsense", "x", 1, 0));
  R(setxattr("f", "user.", "x", 1, 0));
  R(removexattr("f", "user.one"));
  R(removexattr("f", "user.one"));
  R(lsetxattr("l", "user.x", "x", 1, 0));
  R(fgetxattr(99, "user.x", value, 1));
  OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  stat("null", &st);
  out("device %d:%d type %o", major(st.st_rdev), minor(st.st_rdev), st.st_mode & S_IFMT);
  R(mknod("file_node", S_IFREG | 0600, 0));
  R(mknod("bad", 0170000 | 0600, 0));
  R(truncate("f", 2));
  R(truncate("masked_directory", 2));
  R(truncate("none", 2));
  places("f");
  return 0;
}
