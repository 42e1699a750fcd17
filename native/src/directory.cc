// Files looked up, opened and listed, with their attributes as 9P has them (spec/p9/messages.ts). Most of
// what a Gofer does is this: in JavaScript an entry of a listing took 10 us, and a file looked up or opened
// in a young process, whose code is interpreted, 25 and 35.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

namespace runsc {
namespace {

// struct linux_dirent64.
struct Entry {
  uint64_t ino;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};
static_assert(offsetof(Entry, name) == 19);

// A record: the body of an Rgetattr, type[1], name[s].
constexpr size_t kAttrSize = 153;
constexpr size_t kModeInAttr = 21;
constexpr size_t kRecordSize = kAttrSize + 1 + 2;
// The smallest Entry: a name of up to four bytes.
constexpr size_t kMinEntry = 24;
// The largest that any file system has, the largest of most, and the longest name of 9P.
constexpr size_t kMaxEntry = 1048;
constexpr size_t kLeastRoom = 280;
constexpr size_t kMaxName = 255;
constexpr unsigned kStatxMask = STATX_BASIC_STATS | STATX_BTIME;
constexpr size_t kChunk = 32768;
// GETATTR_BASIC | GETATTR_BTIME.
constexpr uint64_t kValid = 0x7ff | 0x800;
constexpr uint8_t kQidDirectory = 0x80;
constexpr uint8_t kQidLink = 0x02;

// How InodeNumbers (gofer/localfs/inode_numbers.ts) makes the path of a qid: the inode number's low
// bits, and above them which of the known combinations of device and upper bits it is. The table is
// [count, (major, minor, upper) ...], and both sides add to it.
constexpr unsigned kLowBits = 44;

struct Numbers {
  uint32_t* table;
  uint32_t capacity;
  uint32_t last = 0;

  bool Is(uint32_t index, const struct statx& s, uint32_t upper) const {
    const uint32_t* known = table + 1 + size_t{3} * index;
    return known[0] == s.stx_dev_major && known[1] == s.stx_dev_minor && known[2] == upper;
  }

  uint64_t Path(const struct statx& s) {
    auto upper = static_cast<uint32_t>(s.stx_ino >> kLowBits);
    uint64_t low = s.stx_ino & ((uint64_t{1} << kLowBits) - 1);
    return (uint64_t{Index(s, upper)} << kLowBits) | low;
  }

  uint32_t Index(const struct statx& s, uint32_t upper) {
    uint32_t count = table[0] < capacity ? table[0] : capacity;
    if (last < count && Is(last, s, upper)) return last;
    for (uint32_t i = 0; i < count; i++) {
      if (Is(i, s, upper)) return last = i;
    }
    if (count == capacity) return capacity;
    uint32_t* fresh = table + 1 + size_t{3} * count;
    fresh[0] = s.stx_dev_major;
    fresh[1] = s.stx_dev_minor;
    fresh[2] = upper;
    table[0] = count + 1;
    return last = count;
  }
};

class Writer {
 public:
  explicit Writer(uint8_t* at) : at_(at) {}
  template <typename T>
  void Put(T value) {
    memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void Time(const struct statx_timestamp& t) {
    Put<int64_t>(t.tv_sec);
    Put<uint64_t>(t.tv_nsec);
  }
  void Text(const char* text, size_t length) {
    Put(static_cast<uint16_t>(length));
    memcpy(at_, text, length);
    at_ += length;
  }
  uint8_t* at() const { return at_; }

 private:
  uint8_t* at_;
};

uint8_t QidType(uint16_t mode) {
  if (S_ISDIR(mode)) return kQidDirectory;
  return S_ISLNK(mode) ? kQidLink : 0;
}

// makedev(3) as 9P has it: the minor's upper bits above the 12 bits of the major.
uint64_t DeviceNumber(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | (uint64_t{major & 0xfff} << 8) | (uint64_t{minor >> 8} << 20);
}

void PutAttr(Writer& w, const struct statx& s, Numbers& numbers) {
  w.Put(kValid);
  w.Put(QidType(s.stx_mode));
  w.Put(static_cast<uint32_t>(s.stx_ctime.tv_sec) ^ s.stx_ctime.tv_nsec);
  w.Put(numbers.Path(s));
  w.Put<uint32_t>(s.stx_mode);
  w.Put<uint32_t>(s.stx_uid);
  w.Put<uint32_t>(s.stx_gid);
  w.Put<uint64_t>(s.stx_nlink);
  w.Put(DeviceNumber(s.stx_rdev_major, s.stx_rdev_minor));
  w.Put<uint64_t>(s.stx_size);
  w.Put<uint64_t>(s.stx_blksize);
  w.Put<uint64_t>(s.stx_blocks);
  w.Time(s.stx_atime);
  w.Time(s.stx_mtime);
  w.Time(s.stx_ctime);
  w.Time(s.stx_btime);
  w.Put<uint64_t>(0);  // gen
  w.Put<uint64_t>(0);  // data version
}

void PutRecord(Writer& w, const struct statx& s, Numbers& numbers, const char* name) {
  PutAttr(w, s, numbers);
  w.Put(static_cast<uint8_t>(s.stx_mode >> 12));
  w.Text(name, strlen(name));
}

bool IsDots(const char* name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

// Entries that vanish meanwhile are left out. 1 when there may be more, 0 at the end, or -errno.
int Fill(int fd, Numbers& numbers, uint8_t* begin, uint8_t* end, uint8_t** filled) {
  alignas(Entry) char chunk[kChunk];
  uint8_t* at = begin;
  for (;;) {
    *filled = at;
    // As much of the directory as is sure to fit, however short its names are.
    size_t room = static_cast<size_t>(end - at) / (kRecordSize + kMinEntry) * kMinEntry;
    if (room > sizeof chunk) room = sizeof chunk;
    if (room < kMaxEntry && at != begin) return 1;
    if (room < kLeastRoom) return -EINVAL;
    long got = syscall(SYS_getdents64, fd, chunk, room);
    if (got <= 0) return got < 0 ? -errno : 0;
    Writer w(at);
    for (long i = 0; i < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(chunk + i);
      i += entry->length;
      struct statx s;
      if (IsDots(entry->name) || strlen(entry->name) > kMaxName) continue;
      if (syscall(SYS_statx, fd, entry->name, AT_SYMLINK_NOFOLLOW, kStatxMask, &s) < 0) continue;
      PutRecord(w, s, numbers, entry->name);
    }
    at = w.at();
  }
}

Numbers NumbersArg(napi_env env, napi_value value) {
  Bytes table = BytesArg(env, value);
  auto* words = reinterpret_cast<uint32_t*>(table.data);
  return {words, static_cast<uint32_t>((table.length / sizeof *words - 1) / 3)};
}

// One component below a directory, opened without following anything and only to be looked at.
int OpenBeneath(int directory, const char* name) {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  long fd = syscall(SYS_openat2, directory, name, &how, sizeof how);
  // Before Linux 5.6. With O_NOFOLLOW a single component cannot lead out of its directory either.
  if (fd < 0 && errno == ENOSYS) fd = syscall(SYS_openat, directory, name, how.flags, 0);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// Writes the attributes of the file of `fd`: 0 or -errno.
int Describe(int fd, Bytes attr, Numbers numbers) {
  struct statx s;
  if (attr.length < kAttrSize) return -EINVAL;
  if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxMask, &s) < 0) return -errno;
  Writer w(attr.data);
  PutAttr(w, s, numbers);
  return 0;
}

bool IsRegular(Bytes attr) {
  uint32_t mode;
  memcpy(&mode, attr.data + kModeInAttr, sizeof mode);
  return S_ISREG(mode);
}

// The contents of the regular file that `path` refers to, whatever its name is by now.
int Reopen(int path, int flags) {
  if ((flags & (O_ACCMODE | O_TRUNC)) != 0) {
    struct statfs s;
    if (syscall(SYS_fstatfs, path, &s) < 0) return -errno;
    // In a volume that shows the host's /proc: our own memory is a file there.
    if (s.f_type == PROC_SUPER_MAGIC) return -EACCES;
  }
  char name[32];
  snprintf(name, sizeof name, "/proc/self/fd/%d", path);
  long fd = syscall(SYS_openat, AT_FDCWD, name, flags | O_CLOEXEC, 0);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// The byte string `value` as a component: false when it cannot be one.
bool NameArg(napi_env env, napi_value value, char (&name)[kMaxName + 2]) {
  size_t length = 0;
  if (napi_get_value_string_latin1(env, value, name, sizeof name, &length) != napi_ok) return false;
  return length > 0 && length <= kMaxName && strlen(name) == length && !strchr(name, '/') && !IsDots(name);
}

// describeFile(fd, attr, numbers)
napi_value DescribeFile(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  size_t argc = 3;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int fd = static_cast<int>(IntArg(env, argv[0]));
  return MakeNumber(env, Describe(fd, BytesArg(env, argv[1]), NumbersArg(env, argv[2])));
}

// lookUp(directory, name, attr, numbers)
napi_value LookUp(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  size_t argc = 4;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  char name[kMaxName + 2];
  if (!NameArg(env, argv[1], name)) return MakeNumber(env, -EINVAL);
  int fd = OpenBeneath(static_cast<int>(IntArg(env, argv[0])), name);
  if (fd < 0) return MakeNumber(env, fd);
  int result = Describe(fd, BytesArg(env, argv[2]), NumbersArg(env, argv[3]));
  if (result < 0) syscall(SYS_close, fd);
  return MakeNumber(env, result < 0 ? result : fd);
}

// openRegular(directory, name, flags, attr, numbers)
napi_value OpenRegular(napi_env env, napi_callback_info info) {
  napi_value argv[5];
  size_t argc = 5;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  char name[kMaxName + 2];
  if (!NameArg(env, argv[1], name)) return MakeNumber(env, -EINVAL);
  int path = OpenBeneath(static_cast<int>(IntArg(env, argv[0])), name);
  if (path < 0) return MakeNumber(env, path);
  Bytes attr = BytesArg(env, argv[3]);
  int fd = Describe(path, attr, NumbersArg(env, argv[4]));
  if (fd == 0) {
    fd = IsRegular(attr) ? Reopen(path, static_cast<int>(IntArg(env, argv[2]))) : -EOPNOTSUPP;
  }
  syscall(SYS_close, path);
  return MakeNumber(env, fd);
}

// listDirectory(fd, into, numbers, status): writes the next entries of an open directory to `into` and
// answers with how many bytes they take. status[0] becomes what Fill says.
napi_value ListDirectory(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  size_t argc = 4;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int fd = static_cast<int>(IntArg(env, argv[0]));
  Bytes into = BytesArg(env, argv[1]);
  Numbers numbers = NumbersArg(env, argv[2]);
  Bytes status = BytesArg(env, argv[3]);
  uint8_t* filled = into.data;
  int result = Fill(fd, numbers, into.data, into.data + into.length, &filled);
  memcpy(status.data, &result, sizeof result);
  return MakeNumber(env, static_cast<double>(filled - into.data));
}

}  // namespace

void ExportDirectory(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "describeFile", DescribeFile);
  Export(env, exports, "lookUp", LookUp);
  Export(env, exports, "openRegular", OpenRegular);
  Export(env, exports, "listDirectory", ListDirectory);
}

}  // namespace runsc
