// A directory with the attributes of its entries, written as the records of an Rreaddirplus
// (spec/p9/messages.ts). Most of what a Gofer does is this: in JavaScript an entry took 10 us.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
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
constexpr size_t kRecordSize = kAttrSize + 1 + 2;
// The smallest Entry: a name of up to four bytes.
constexpr size_t kMinEntry = 24;
// The largest that any file system has, the largest of most, and the longest name of 9P.
constexpr size_t kMaxEntry = 1048;
constexpr size_t kLeastRoom = 280;
constexpr size_t kMaxName = 255;
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

void PutRecord(Writer& w, const struct statx& s, Numbers& numbers, const char* name) {
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
      unsigned mask = STATX_BASIC_STATS | STATX_BTIME;
      if (IsDots(entry->name) || strlen(entry->name) > kMaxName) continue;
      if (syscall(SYS_statx, fd, entry->name, AT_SYMLINK_NOFOLLOW, mask, &s) < 0) continue;
      PutRecord(w, s, numbers, entry->name);
    }
    at = w.at();
  }
}

// listDirectory(fd, into, numbers, status): writes the next entries of an open directory to `into` and
// answers with how many bytes they take. status[0] becomes what Fill says.
napi_value ListDirectory(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  size_t argc = 4;
  napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr);
  int fd = static_cast<int>(IntArg(env, argv[0]));
  Bytes into = BytesArg(env, argv[1]);
  Bytes table = BytesArg(env, argv[2]);
  Bytes status = BytesArg(env, argv[3]);
  auto* words = reinterpret_cast<uint32_t*>(table.data);
  Numbers numbers{words, static_cast<uint32_t>((table.length / sizeof *words - 1) / 3)};
  uint8_t* filled = into.data;
  int result = Fill(fd, numbers, into.data, into.data + into.length, &filled);
  memcpy(status.data, &result, sizeof result);
  return MakeNumber(env, static_cast<double>(filled - into.data));
}

}  // namespace

void ExportDirectory(Napi::Env env, Napi::Object exports) {
  Export(env, exports, "listDirectory", ListDirectory);
}

}  // namespace runsc
