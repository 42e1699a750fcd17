/**
 * mmap(2), mremap(2), madvise(2), msync(2), mlock(2), memfd_create(2), mbind(2), pkey_alloc(2);
 * the page size.
 */

/** Protection. */
export const PROT_NONE = 0x0;
export const PROT_READ = 0x1;
export const PROT_WRITE = 0x2;
export const PROT_EXEC = 0x4;
export const PROT_SEM = 0x8;
export const PROT_GROWSDOWN = 0x1000000;
export const PROT_GROWSUP = 0x2000000;

/** mmap(2) flags. */
export const MAP_SHARED = 0x1;
export const MAP_PRIVATE = 0x2;
export const MAP_SHARED_VALIDATE = 0x3;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_32BIT = 0x40;
export const MAP_GROWSDOWN = 0x100;
export const MAP_DENYWRITE = 0x800;
export const MAP_EXECUTABLE = 0x1000;
export const MAP_LOCKED = 0x2000;
export const MAP_NORESERVE = 0x4000;
export const MAP_POPULATE = 0x8000;
export const MAP_NONBLOCK = 0x10000;
export const MAP_STACK = 0x20000;
export const MAP_HUGETLB = 0x40000;
export const MAP_SYNC = 0x80000;
export const MAP_FIXED_NOREPLACE = 0x100000;
export const MAP_UNINITIALIZED = 0x4000000;

/** The sharing kind within the flags; MAP_FILE is no flag. */
export const MAP_TYPE = 0xf;
export const MAP_FILE = 0x0;

/** Position of the huge page size in the flags. */
export const MAP_HUGE_SHIFT = 26;
export const MAP_HUGE_MASK = 63;

/** mremap(2). */
export const MREMAP_MAYMOVE = 0x1;
export const MREMAP_FIXED = 0x2;
export const MREMAP_DONTUNMAP = 0x4;

/** madvise(2). */
export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;
export const MADV_FREE = 8;
export const MADV_REMOVE = 9;
export const MADV_DONTFORK = 10;
export const MADV_DOFORK = 11;
export const MADV_MERGEABLE = 12;
export const MADV_UNMERGEABLE = 13;
export const MADV_HUGEPAGE = 14;
export const MADV_NOHUGEPAGE = 15;
export const MADV_DONTDUMP = 16;
export const MADV_DODUMP = 17;
export const MADV_WIPEONFORK = 18;
export const MADV_KEEPONFORK = 19;
export const MADV_COLD = 20;
export const MADV_PAGEOUT = 21;
export const MADV_POPULATE_READ = 22;
export const MADV_POPULATE_WRITE = 23;
export const MADV_DONTNEED_LOCKED = 24;
export const MADV_COLLAPSE = 25;
export const MADV_HWPOISON = 100;
export const MADV_SOFT_OFFLINE = 101;

/** msync(2). */
export const MS_ASYNC = 0x1;
export const MS_INVALIDATE = 0x2;
export const MS_SYNC = 0x4;

/** mlock2(2), mlockall(2). */
export const MCL_CURRENT = 0x1;
export const MLOCK_ONFAULT = 0x1;
export const MCL_FUTURE = 0x2;
export const MCL_ONFAULT = 0x4;

/** memfd_create(2). */
export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
export const MFD_HUGETLB = 0x4;
export const MFD_NOEXEC_SEAL = 0x8;
export const MFD_EXEC = 0x10;

/** pkey_alloc(2). */
export const PKEY_DISABLE_ACCESS = 0x1;
export const PKEY_DISABLE_WRITE = 0x2;
export const PKEY_ACCESS_MASK = 0x3;

/** Memory policies, set_mempolicy(2). */
export const MPOL_F_NODE = 0x1;
export const MPOL_F_SHARED = 0x1;
export const MPOL_MF_STRICT = 0x1;
export const MPOL_F_ADDR = 0x2;
export const MPOL_MF_MOVE = 0x2;
export const MPOL_F_MEMS_ALLOWED = 0x4;
export const MPOL_MF_MOVE_ALL = 0x4;
export const MPOL_MF_VALID = 0x7;
export const MPOL_F_MOF = 0x8;
export const MPOL_MF_LAZY = 0x8;
export const MPOL_F_MORON = 0x10;
export const MPOL_MF_INTERNAL = 0x10;
export const MPOL_F_NUMA_BALANCING = 0x2000;
export const MPOL_F_RELATIVE_NODES = 0x4000;
export const MPOL_F_STATIC_NODES = 0x8000;
export const MPOL_DEFAULT = 0;
export const MPOL_PREFERRED = 1;
export const MPOL_BIND = 2;
export const MPOL_INTERLEAVE = 3;
export const MPOL_LOCAL = 4;

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
