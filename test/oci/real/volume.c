/*
 * One of two that look at a directory and change it: run natively and in a sandbox, on the same volume. Each
 * line of stdin is a command, answered by one line; what two kernels must agree on is in it, and no more.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int kept = -1;
static char answer[65536];

static int result(int r) { return sprintf(answer, "%d", r < 0 ? -errno : r); }

static void tell(int r, const struct stat *s) {
  if (r < 0) {
    result(r);
    return;
  }
  sprintf(answer, "%lu %o %lu %u %u %ld %ld %ld.%ld %ld.%ld", s->st_ino, s->st_mode, (unsigned long)s->st_nlink,
          s->st_uid, s->st_gid, s->st_size, s->st_blocks, s->st_mtim.tv_sec, s->st_mtim.tv_nsec, s->st_ctim.tv_sec,
          s->st_ctim.tv_nsec);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
  DIR *d = opendir(path);
  if (d == NULL) {
    result(-1);
    return;
  }
  char *names[1000];
  int count = 0;
  for (struct dirent *e; count < 1000 && (e = readdir(d)) != NULL;) {
    char entry[300];
    sprintf(entry, "%s:%d:%lu", e->d_name, e->d_type, strcmp(e->d_name, "..") ? (unsigned long)e->d_ino : 0);
    names[count++] = strdup(entry);
  }
  closedir(d);
  qsort(names, count, sizeof *names, by_name);
  char *at = answer + sprintf(answer, "%d", count);
  for (int i = 0; i < count; i++) {
    at += sprintf(at, " %s", names[i]);
    free(names[i]);
  }
}

static void contents(const char *path) {
  char bytes[33] = "";
  struct stat s;
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) {
    result(-1);
    return;
  }
  int n = read(fd, bytes, 32);
  int error = n < 0 ? errno : 0;
  tell(fstat(fd, &s), &s);
  sprintf(answer + strlen(answer), " %d %s", error, bytes);
  close(fd);
}

static int store(const char *path, char byte) {
  struct stat s;
  int fd = open(path, O_RDWR | O_NONBLOCK);
  if (fd < 0) return fd;
  if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0) {
    char *view = mmap(NULL, s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (view != MAP_FAILED) {
      view[s.st_size / 2] = byte;
      munmap(view, s.st_size);
    }
  }
  return close(fd);
}

static int append(const char *path, int flags, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | flags, 0644);
  if (fd < 0) return fd;
  if (write(fd, text, strlen(text)) < 0) return -1;
  return close(fd);
}

static int keep(const char *path) {
  if (kept >= 0) close(kept);
  struct stat s;
  kept = open(path, O_RDONLY | O_NONBLOCK);
  if (kept < 0) return -1;
  /* Each kernel has a pipe of its own behind the name. */
  if (fstat(kept, &s) == 0 && !S_ISFIFO(s.st_mode)) return 0;
  close(kept);
  kept = -1;
  errno = ENXIO;
  return -1;
}

static void look(const char *what, const char *path) {
  struct stat s;
  char target[256];
  if (!strcmp(what, "lstat")) tell(lstat(path, &s), &s);
  else if (!strcmp(what, "stat")) tell(stat(path, &s), &s);
  else if (!strcmp(what, "fstat")) tell(fstat(kept, &s), &s);
  else if (!strcmp(what, "at")) tell(fstatat(kept, path, &s, 0), &s);
  else if (!strcmp(what, "access")) result(access(path, X_OK));
  else if (!strcmp(what, "list")) list(path);
  else if (!strcmp(what, "contents")) contents(path);
  else if (!strcmp(what, "readlink")) {
    ssize_t n = readlink(path, target, sizeof target - 1);
    result(n);
    if (n >= 0) sprintf(answer, "%.*s", (int)n, target);
  } else if (!strcmp(what, "getxattr")) {
    ssize_t n = getxattr(path, "user.a", target, sizeof target - 1);
    result(n);
    if (n >= 0) sprintf(answer, "%.*s", (int)n, target);
  } else sprintf(answer, "?");
}

static int change(const char *what, const char *path, const char *other) {
  struct timespec times[2] = {{atoi(other), 5}, {atoi(other), 7}};
  if (!strcmp(what, "append")) return append(path, O_APPEND, other);
  if (!strcmp(what, "write")) return append(path, O_TRUNC, other);
  if (!strcmp(what, "create")) return append(path, O_EXCL, other);
  if (!strcmp(what, "store")) return store(path, other[0]);
  if (!strcmp(what, "truncate")) return truncate(path, atoi(other));
  if (!strcmp(what, "chmod")) return chmod(path, strtol(other, NULL, 8));
  if (!strcmp(what, "chown")) return lchown(path, atoi(other), atoi(other));
  if (!strcmp(what, "utimes")) return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
  if (!strcmp(what, "setxattr")) return setxattr(path, "user.a", other, strlen(other), 0);
  if (!strcmp(what, "unlink")) return unlink(path);
  if (!strcmp(what, "rmdir")) return rmdir(path);
  if (!strcmp(what, "mkdir")) return mkdir(path, 0755);
  if (!strcmp(what, "mkfifo")) return mkfifo(path, 0644);
  if (!strcmp(what, "rename")) return rename(path, other);
  if (!strcmp(what, "exchange")) return renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
  if (!strcmp(what, "link")) return link(path, other);
  if (!strcmp(what, "symlink")) return symlink(path, other);
  if (!strcmp(what, "keep")) return keep(path);
  return -2;
}

int main(int argc, char **argv) {
  char line[1024];
  if (argc != 2 || chdir(argv[1]) != 0) return 1;
  umask(022);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char what[32] = "", path[256] = "", other[256] = "";
    sscanf(line, "%31s %255s %255s", what, path, other);
    int r = change(what, path, other);
    if (r == -2) look(what, path);
    else result(r);
    puts(answer);
    fflush(stdout);
  }
  return 0;
}
