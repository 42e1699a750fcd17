/* open flags, offsets, holes, append, dup, fcntl, vectors, truncation, on tmpfs and on the root. */
#include "guest.h"
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static void show(const char *what, int fd) {
  struct stat st;
  fstat(fd, &st);
  out("%s: size %ld offset %ld", what, (long)st.st_size, (long)lseek(fd, 0, SEEK_CUR));
}

static void in_directory(const char *directory) {
  out("-- %s", directory);
  if (chdir(directory) < 0) out("chdir %s", errno_name(errno));
  char b[5000] = "";
  int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);
  R(open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
  R(open("none", O_RDWR));
  R(open("f", O_RDONLY | O_DIRECTORY));
  R(open(".", O_WRONLY));
  R(open("f/x", O_RDONLY));
  R(open("", O_RDONLY));
  R(open(".", O_RDWR | O_CREAT, 0600));
  R(open("new/", O_RDWR | O_CREAT, 0600));
  struct stat st;
  fstat(fd, &st);
  out("mode %o links %d blocks %ld", st.st_mode, (int)st.st_nlink, (long)st.st_blocks);
  R(write(fd, "hello", 5));
  show("written", fd);
  R(pread(fd, b, 10, 2));
  R(pread(fd, b, 10, 99));
  R(pread(fd, b, 1, -1));
  R(pwrite(fd, "J", 1, 0));
  show("after pwrite", fd);
  R(lseek(fd, 10000, SEEK_SET));
  R(write(fd, "end", 3));
  R(pread(fd, b, 5000, 3000));
  int zero = 1;
  for (int i = 0; i < 5000; i++) zero &= b[i] == 0;
  out("hole reads zero %d", zero);
  R(lseek(fd, -4, SEEK_END));
  R(lseek(fd, -99999, SEEK_CUR));
  R(lseek(fd, 0, 77));
  R(lseek(fd, 10001, SEEK_DATA));
  R(lseek(fd, 99999, SEEK_DATA));
  R(lseek(fd, 10001, SEEK_HOLE));
  R(ftruncate(fd, 3));
  show("cut", fd);
  R(ftruncate(fd, -1));
  R(ftruncate(fd, 8));
  R(pread(fd, b, 10, 0));
  out("[%c%c%c] %d", b[0], b[1], b[2], b[5]);
  int append = open("f", O_WRONLY | O_APPEND);
  R(pwrite(append, "A", 1, 0));
  R(lseek(append, 0, SEEK_SET));
  R(write(append, "B", 1));
  show("appended", append);
  R(read(append, b, 1));
  R(write(open("f", O_RDONLY), "x", 1));
  int other = dup(fd);
  lseek(fd, 2, SEEK_SET);
  show("duplicate shares the offset", other);
  int again = open("f", O_RDWR | O_TRUNC);
  show("truncated by open", fd);
  R(fcntl(again, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  R(fcntl(again, F_SETFL, O_APPEND | O_NONBLOCK));
  R(fcntl(again, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
  R(fcntl(again, F_GETFD));
  R(fcntl(again, F_SETFD, FD_CLOEXEC));
  R(fcntl(again, F_GETFD));
  R(dup2(fd, fd));
  R(dup3(fd, fd, 0));
  R(dup2(99, 5));
  R(dup2(fd, -1));
  R(close(99));
  R(fcntl(fd, 9999));
  R(ioctl(fd, 0x12345, 0));
  int left;
  R(ioctl(fd, FIONREAD, &left));
  R(write(fd, (char *)8, 5));
  R(read(fd, (char *)8, 0));
  struct iovec v[3] = {{"ab", 2}, {"cd", 2}, {"ef", 2}};
  int w = open("v", O_RDWR | O_CREAT | O_TRUNC, 0600);
  R(writev(w, v, 3));
  R(pwritev(w, v, 2, 4));
  char x[3], y[9];
  struct iovec r[2] = {{x, 3}, {y, 9}};
  R(preadv(w, r, 2, 1));
  out("%.3s %.4s", x, y);
  R(preadv2(w, r, 2, -1, 0));
  R(fallocate(w, 0, 0, 100));
  show("allocated", w);
  R(fallocate(w, FALLOC_FL_KEEP_SIZE, 0, 10000));
  show("kept", w);
  R(fallocate(w, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3));
  R(pread(w, b, 6, 0));
  out("%d %d %c", b[0], b[2], b[3]);
  R(fallocate(w, 0, -1, 5));
  R(fallocate(w, FALLOC_FL_PUNCH_HOLE, 0, 5));
  off_t offset = 2;
  lseek(fd, 0, SEEK_SET);
  R(sendfile(fd, w, &offset, 4));
  out("offset %ld", (long)offset);
  off_t from = 0, to = 50;
  R(copy_file_range(w, &from, fd, &to, 20, 0));
  show("copied", fd);
  R(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  R(fsync(fd));
  R(fdatasync(fd));
  R(syncfs(fd));
  R(readahead(fd, 0, 10));
  int path = open("f", O_PATH);
  R(read(path, b, 1));
  R(fcntl(path, F_GETFL) == O_PATH || fcntl(path, F_GETFL) == (O_PATH | O_LARGEFILE));
  R(fstat(path, &st));
  R(fchmod(path, 0600));
  int link = open("l", O_RDONLY | O_NOFOLLOW);
  R(link);
  symlink("f", "l");
  R(open("l", O_RDONLY | O_NOFOLLOW));
  OK(open("l", O_PATH | O_NOFOLLOW));
  int tmp = open(".", O_TMPFILE | O_RDWR, 0600);
  OK(tmp);
  if (tmp >= 0) {
    write(tmp, "tmp", 3);
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", tmp);
    R(linkat(AT_FDCWD, name, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
    R(open("linked", O_RDONLY) >= 0);
  }
  R(open(".", O_TMPFILE | O_RDONLY, 0600));
  unlink("f");
  fstat(fd, &st);
  out("unlinked: links %d, still %ld bytes", (int)st.st_nlink, (long)st.st_size);
  char name[40], target[300];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(name, target, sizeof target - 1);
  target[n < 0 ? 0 : n] = 0;
  out("link ends %s", strrchr(target, '/') ? strrchr(target, '/') : target);
  char reopened[10] = "";
  int ro = open(name, O_RDONLY);
  R(read(ro, reopened, 5));
  R(close_range(40, 60, 0));
  unlink("v");
  unlink("l");
  unlink("linked");
}

int main(void) {
  char cwd[200];
  getcwd(cwd, sizeof cwd);
  in_directory(cwd);
  mkdir("/root_test", 0755);
  in_directory("/root_test");
  /* The lowest free descriptor. */
  int a = dup(1), b = dup(1), c = dup(1);
  close(b);
  T(dup(1) == b);
  close(a);
  T(open("/", O_RDONLY) == a);
  T(fcntl(1, F_DUPFD, c) == c + 1);
  return 0;
}
