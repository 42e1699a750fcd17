/* Names: rename, link, symlink, unlink, mkdir, directories, the *at calls, getdents, getcwd. */
#include "guest.h"
#include <dirent.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/statfs.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
  char *names[300], line[900] = "";
  int n = 0;
  DIR *d = opendir(path);
  if (!d) {
    out("list %s: %s", path, errno_name(errno));
    return;
  }
  for (struct dirent *e; (e = readdir(d)) && n < 300;) {
    char *entry = malloc(300);
    snprintf(entry, 300, "%s/%d", e->d_name, e->d_type);
    names[n++] = entry;
  }
  closedir(d);
  qsort(names, (size_t)n, sizeof *names, compare);
  for (int i = 0; i < n; i++) snprintf(line + strlen(line), sizeof line - strlen(line), " %s", names[i]);
  out("list %s:%s", path, line);
}

static void in_directory(const char *directory) {
  out("-- %s", directory);
  mkdir(directory, 0755);
  R(chdir(directory));
  R(mkdir("d", 0777));
  R(mkdir("d", 0777));
  R(mkdir("none/d", 0777));
  R(mkdir("d/", 0777));
  R(mkdir(".", 0777));
  R(mkdir("", 0777));
  R(rmdir("none"));
  R(rmdir("."));
  R(rmdir("d/.."));
  write_file("a", "a");
  write_file("b", "bb");
  R(rmdir("a"));
  R(unlink("d"));
  R(unlink("none"));
  R(unlink("a/"));
  R(link("a", "a2"));
  R(link("a", "b"));
  R(link("d", "d2"));
  R(link("none", "x"));
  R(symlink("target", "s"));
  R(symlink("target", "s"));
  R(symlink("", "e"));
  char b[300];
  R(readlink("s", b, 3));
  R(readlink("a", b, 3));
  R(readlink("s", b, 0));
  list(".");
  R(rename("a", "c"));
  R(rename("a", "c"));
  R(rename("c", "b"));
  struct stat st;
  stat("b", &st);
  out("b is %ld bytes, %d links", (long)st.st_size, (int)st.st_nlink);
  R(rename("b", "a2"));
  list(".");
  R(rename("b", "d"));
  R(rename("d", "b"));
  R(rename("d", "d/sub"));
  R(mkdir("d/sub", 0755));
  R(mkdir("full", 0755));
  write_file("full/x", "");
  R(rename("d", "full"));
  R(rename("full/x", "full/y"));
  R(unlink("full/y"));
  R(rename("d", "full"));
  list("full");
  R(rename("full", "."));
  R(rename("full/..", "z"));
  R(renameat2(AT_FDCWD, "b", AT_FDCWD, "full", RENAME_NOREPLACE));
  R(renameat2(AT_FDCWD, "b", AT_FDCWD, "fresh", RENAME_NOREPLACE));
  R(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "full", RENAME_EXCHANGE));
  R(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "none", RENAME_EXCHANGE));
  R(renameat2(AT_FDCWD, "fresh", AT_FDCWD, "none", 64));
  list(".");
  list("fresh");
  R(rename("fresh", "/dev/x"));
  R(rmdir("fresh"));
  R(rmdir("fresh/sub"));
  /* Symbolic links. */
  R(symlink("loop2", "loop1"));
  R(symlink("loop1", "loop2"));
  R(open("loop1", O_RDONLY));
  R(stat("loop1", &st));
  R(lstat("loop1", &st));
  char chain[20] = "full";
  for (int i = 0; i < 41; i++) {
    char next[20];
    snprintf(next, sizeof next, "chain%d", i);
    symlink(chain, next);
    strcpy(chain, next);
  }
  R(stat("chain38", &st));
  R(stat("chain40", &st));
  symlink("fresh", "to_dir");
  R(open("to_dir/none", O_RDONLY));
  OK(open("dangling_target_made", O_CREAT | O_RDWR, 0600));
  symlink("made_through", "dangling");
  R(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
  OK(open("dangling", O_CREAT | O_RDWR, 0600));
  R(stat("made_through", &st));
  R(unlink("to_dir/"));
  R(rmdir("to_dir"));
  /* Long names. */
  char name[5000];
  memset(name, 'n', sizeof name);
  name[255] = 0;
  R(mkdir(name, 0755) == 0);
  name[255] = 'n';
  name[256] = 0;
  errno = 0;
  out("256: %d %s", mkdir(name, 0755), errno_name(errno));
  for (int i = 0; i < 4998; i += 2) memcpy(name + i, "./", 2);
  name[4094] = 0;
  R(access(name, F_OK) == 0);
  name[4094] = '.';
  name[4998] = 0;
  errno = 0;
  out("5000: %d %s", access(name, F_OK), errno_name(errno));
  /* The *at calls. */
  int d = open("fresh", O_RDONLY | O_DIRECTORY);
  OK(openat(d, "in", O_CREAT | O_RDWR, 0644));
  R(fstatat(d, "in", &st, 0));
  R(fstatat(d, "", &st, AT_EMPTY_PATH));
  R(fstatat(d, "", &st, 0));
  R(fstatat(99, "in", &st, 0));
  R(fstatat(1, "in", &st, 0));
  R(fstatat(99, "/", &st, 0));
  R(mkdirat(d, "sub2", 0700));
  R(symlinkat("in", d, "sym"));
  R(faccessat(d, "sym", R_OK, 0));
  R(unlinkat(d, "sub2", 0));
  R(unlinkat(d, "sub2", AT_REMOVEDIR));
  R(unlinkat(d, "in", 12345));
  R(fchmodat(d, "in", 0600, 0));
  R(renameat(d, "in", AT_FDCWD, "out"));
  R(linkat(AT_FDCWD, "out", d, "in", 0));
  R(fchdir(d));
  T(getcwd(b, sizeof b) && strcmp(strrchr(b, '/'), "/fresh") == 0);
  R(syscall(SYS_getcwd, b, 3));
  struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
  R(syscall(SYS_openat2, d, "../out", &how, sizeof how));
  how.resolve = RESOLVE_IN_ROOT;
  R(syscall(SYS_openat2, d, "/../none", &how, sizeof how));
  /* An absolute path begins at the descriptor, and so does an absolute link. */
  symlinkat("/in", d, "absolute");
  OK(syscall(SYS_openat2, d, "/in", &how, sizeof how));
  OK(syscall(SYS_openat2, d, "/../../in", &how, sizeof how));
  OK(syscall(SYS_openat2, d, "absolute", &how, sizeof how));
  OK(syscall(SYS_openat2, d, "/absolute", &how, sizeof how));
  R(syscall(SYS_openat2, d, "/etc/passwd", &how, sizeof how));
  R(syscall(SYS_openat2, d, "/tmp", &how, sizeof how));
  unlinkat(d, "absolute", 0);
  how.resolve = RESOLVE_NO_SYMLINKS;
  R(syscall(SYS_openat2, d, "sym", &how, sizeof how));
  how.resolve = 1 << 20;
  R(syscall(SYS_openat2, d, "in", &how, sizeof how));
  R(chdir(".."));
  /* A directory that was removed while open. */
  R(mkdir("gone", 0755));
  R(chdir("gone"));
  R(rmdir("../gone"));
  R(open("x", O_CREAT | O_RDWR, 0600));
  R(getcwd(b, sizeof b) != NULL);
  list(".");
  R(chdir(".."));
  R(chdir(directory));
  /* Many entries, and seeking among them. */
  mkdir("many", 0755);
  for (int i = 0; i < 250; i++) {
    snprintf(b, sizeof b, "many/%d", i);
    close(open(b, O_CREAT | O_WRONLY, 0600));
  }
  DIR *m = opendir("many");
  int count = 0;
  long where = 0;
  char tenth[300] = "";
  for (struct dirent *e; (e = readdir(m));) {
    if (count == 9) where = telldir(m);
    if (count == 10) strcpy(tenth, e->d_name);
    count++;
  }
  seekdir(m, where);
  struct dirent *e = readdir(m);
  out("entries %d, seek works %d", count, e && strcmp(e->d_name, tenth) == 0);
  rewinddir(m);
  for (count = 0; (e = readdir(m));) {
    if (e->d_name[0] != '.') unlinkat(dirfd(m), e->d_name, 0), count++;
  }
  out("removed while reading %d", count);
  closedir(m);
  R(rmdir("many"));
  R(syscall(SYS_getdents64, open(".", O_RDONLY), b, 5));
  R(syscall(SYS_getdents64, open("out", O_RDONLY), b, 200));
  R(syscall(SYS_getdents64, 99, b, 200));
  struct statfs sf;
  T(statfs(".", &sf) == 0 && sf.f_namelen == 255 && sf.f_bsize == 4096);
}

int main(void) {
  char directory[300];
  getcwd(directory, sizeof directory);
  strcat(directory, "/names");
  in_directory(directory);
  in_directory("/names_test");
  R(chdir("/"));
  R(chdir(".."));
  char b[10];
  R(syscall(SYS_getcwd, b, 10));
  R(chdir("/proc/self/exe"));
  R(chdir("/none"));
  R(rmdir("/"));
  R(mkdir("/", 0755));
  R(unlink("/"));
  R(rename("/", "/x"));
  return 0;
}
