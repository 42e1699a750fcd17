/*
 * Runs the vDSO outside a sandbox: maps the file that vdso.test.ts writes (data page, then image),
 * walks its dynamic section for the symbols, and compares the functions with the host's clocks.
 *
 *   harness PAGES             one line per comparison
 *   harness IMAGE symbols     how many symbols the dynamic linker finds, by name and version
 *   harness PAGES monotonic   two threads watch for time running backwards while the data page is
 *                             rewritten from what comes in on standard input
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "vvar.h"

static char* base;
static struct vvar* vvar;

static const char* const names[] = {
    "__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres",
    "__vdso_getcpu",        "clock_gettime",       "gettimeofday", "time",
    "clock_getres",         "getcpu"};

static void* find(const char* name) {
  Elf64_Ehdr* header = (Elf64_Ehdr*)base;
  Elf64_Phdr* segment = (Elf64_Phdr*)(base + header->e_phoff);
  Elf64_Dyn* dynamic = NULL;
  for (int i = 0; i < header->e_phnum; i++) {
    if (segment[i].p_type == PT_DYNAMIC) dynamic = (Elf64_Dyn*)(base + segment[i].p_vaddr);
  }
  Elf64_Sym* symbols = NULL;
  uint32_t* hash = NULL;
  char* strings = NULL;
  for (; dynamic->d_tag != DT_NULL; dynamic++) {
    if (dynamic->d_tag == DT_SYMTAB) symbols = (Elf64_Sym*)(base + dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRTAB) strings = base + dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_HASH) hash = (uint32_t*)(base + dynamic->d_un.d_ptr);
  }
  for (uint32_t i = 1; i < hash[1]; i++) {
    if (strcmp(strings + symbols[i].st_name, name) == 0) return base + symbols[i].st_value;
  }
  return NULL;
}

static int (*vdso_clock_gettime)(clockid_t, struct timespec*);

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static int64_t host_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return ns_of(now);
}

static int64_t our_clock(clockid_t clock) {
  struct timespec now = {0, 0};
  vdso_clock_gettime(clock, &now);
  return ns_of(now);
}

/* Ours less the host's, where the host's was read before and after with the least between. */
static int64_t difference(clockid_t ours, clockid_t hosts) {
  int64_t tightest = INT64_MAX, result = 0;
  for (int i = 0; i < 1000; i++) {
    int64_t before = host_clock(hosts);
    int64_t value = our_clock(ours);
    int64_t after = host_clock(hosts);
    if (after - before >= tightest) continue;
    tightest = after - before;
    result = value - (before + tightest / 2);
  }
  return result;
}

/* Whether the function traps: a seccomp filter makes the system call fail with EXDEV. */
static int makes_system_call(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return -1;
  struct timespec now;
  return vdso_clock_gettime(CLOCK_MONOTONIC, &now) == -EXDEV;
}

static void compare(void) {
  int found = 0;
  for (int i = 0; i < 10; i++) found += find(names[i]) != NULL;
  printf("functions %d\n", found);
  printf("realtime %ld\n", difference(CLOCK_REALTIME, CLOCK_REALTIME));
  printf("monotonic %ld\n", difference(CLOCK_MONOTONIC, CLOCK_MONOTONIC));
  printf("realtime_coarse %ld\n", difference(CLOCK_REALTIME_COARSE, CLOCK_REALTIME));
  printf("monotonic_coarse %ld\n", difference(CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC));
  printf("boottime %ld\n", difference(CLOCK_BOOTTIME, CLOCK_MONOTONIC));

  int (*vdso_gettimeofday)(struct timeval*, struct timezone*) = find("__vdso_gettimeofday");
  struct timeval tv;
  struct timezone tz = {1, 1};
  int64_t best = INT64_MAX;
  for (int i = 0; i < 100; i++) {
    vdso_gettimeofday(&tv, &tz);
    int64_t late = host_clock(CLOCK_REALTIME) - (tv.tv_sec * 1000000000 + tv.tv_usec * 1000);
    if (llabs(late) < llabs(best)) best = late;
  }
  printf("gettimeofday %ld\n", tz.tz_minuteswest == 0 && tz.tz_dsttime == 0 ? best : 1000000000);

  long (*vdso_time)(long*) = find("__vdso_time");
  long seconds = 0, returned, wall;
  do {
    wall = time(NULL);
    returned = vdso_time(&seconds);
  } while (wall != time(NULL));
  printf("time %ld\n", labs(returned - wall) + labs(seconds - wall));

  long (*vdso_getcpu)(unsigned*, unsigned*, void*) = find("__vdso_getcpu");
  cpu_set_t one;
  int agree = 1;
  for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN) && cpu < 2; cpu++) {
    unsigned got = 99, node = 99;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0) continue;
    if (vdso_getcpu(&got, &node, NULL) != 0 || got != (unsigned)cpu || node != 0) agree = 0;
  }
  printf("getcpu %d\n", agree);

  int (*vdso_clock_getres)(clockid_t, struct timespec*) = find("__vdso_clock_getres");
  struct timespec resolution = {9, 9};
  vdso_clock_getres(CLOCK_MONOTONIC, &resolution);
  printf("resolution %ld\n", ns_of(resolution));
  vdso_clock_getres(CLOCK_REALTIME_COARSE, &resolution);
  printf("coarse_resolution %ld\n", ns_of(resolution));

  printf("raw %d\n", llabs(difference(CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_RAW)) < 100000);
  struct timespec unused;
  printf("invalid %d\n", vdso_clock_gettime(99, &unused));
  printf("system_call %d\n", makes_system_call());
}

static atomic_long latest;
static atomic_long backwards, readings;
static atomic_int finished;

/* A thread must never read less than any thread read before. */
static void* watch(void* unused) {
  (void)unused;
  while (!finished) {
    long before = atomic_load(&latest);
    long now = our_clock(CLOCK_MONOTONIC);
    if (now < before) backwards++;
    while (before < now && !atomic_compare_exchange_weak(&latest, &before, now)) continue;
    readings++;
  }
  return NULL;
}

/* Copies each new data page as the Sentry writes it: odd sequence, fields, even sequence. */
static void rewrite(void) {
  struct vvar fresh;
  while (read(0, &fresh, sizeof fresh) == sizeof fresh) {
    volatile struct vvar* page = vvar;
    page->seq = page->seq + 1;
    memcpy((char*)vvar + sizeof(int), (char*)&fresh + sizeof(int), sizeof fresh - sizeof(int));
    __asm__ volatile("" : : : "memory");
    page->seq = page->seq + 1;
  }
}

static int count_symbols(const char* path) {
  void* image = dlopen(path, RTLD_NOW);
  if (image == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  int found = 0;
  for (int i = 0; i < 10; i++) found += dlvsym(image, names[i], "LINUX_2.6") != NULL;
  printf("symbols %d\n", found);
  return 0;
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[2], "symbols") == 0) return count_symbols(argv[1]);
  int fd = open(argv[1], O_RDWR);
  char* memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (fd < 0 || memory == MAP_FAILED) return perror(argv[1]), 1;
  vvar = (struct vvar*)memory;
  base = memory + 4096;
  if (mprotect(base, 4096, PROT_READ | PROT_EXEC) != 0) return perror("mprotect"), 1;
  vdso_clock_gettime = find("__vdso_clock_gettime");
  if (vdso_clock_gettime == NULL) return fputs("no __vdso_clock_gettime\n", stderr), 1;
  if (argc == 2) {
    compare();
    return 0;
  }
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, watch, NULL);
  rewrite();
  finished = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  printf("backwards %ld of %ld\n", backwards, readings);
  return 0;
}
