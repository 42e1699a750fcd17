/** dpkg, git, gcc and make, threads in C, sqlite3, and what a system shows of itself. */
import { type Case, cases } from './case.ts';

export const toolCases: readonly Case[] = [
  ...cases('dpkg', {
    install: `
cd /tmp; mkdir -p p/DEBIAN p/usr/share/demo p/usr/bin; printf 'Package: demo\\nVersion: 1.2\\nArchitecture: all\\nMaintainer: nobody <n@example.org>\\nDescription: demo\\n' > p/DEBIAN/control; printf '#!/bin/sh\\necho demo runs\\n' > p/usr/bin/demo; chmod +x p/usr/bin/demo; echo data > p/usr/share/demo/data; printf '#!/bin/sh\\necho postinst $1\\n' > p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
dpkg-deb --root-owner-group -b p demo.deb; dpkg -I demo.deb | grep Version; dpkg -c demo.deb | awk '{print $1, $2, $6}'; dpkg -i demo.deb 2>&1 | grep -v Reading | sed 's/ \\.\\.\\.//'; demo; dpkg -s demo | head -3; dpkg -L demo; dpkg -S /usr/bin/demo; dpkg --verify demo; dpkg -r demo 2>&1 | tail -1 | sed 's/ \\.\\.\\.//'; demo 2> /dev/null; echo $?; dpkg -l | wc -l; dpkg-query -W -f '\${Package}\\n' | md5sum`,
  }),
  ...cases('git', {
    workflow: `
cd /tmp; export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'; git config --global user.name t; git config --global user.email t@example.org; git config --global init.defaultBranch main; git init -q r; cd r; for i in 1 2 3; do echo $i > f$i; git add f$i; git commit -qm "commit $i"; done; git log --oneline; git status --short; echo x >> f1; git diff; git stash -q; git stash pop -q; git status -s; git checkout -q -- f1
git checkout -qb side; echo side > s; git add s; git commit -qm side; git checkout -q main; git merge -q --no-ff side -m merge; git log --graph --oneline; git rev-parse HEAD; git clone -q . /tmp/c; cd /tmp/c; git log --format=%s; cp -r /usr/share/perl5 .; git add -A; git commit -qm many; git ls-files | wc -l; git gc -q; git fsck; git count-objects | cut -d' ' -f1; git tag v1; git describe --tags; git blame f1; git grep -c side; git archive HEAD | tar tf - | wc -l; git rebase -q main 2>&1; git push -q /tmp/r HEAD:other; git -C /tmp/r branch; git bisect start -q HEAD HEAD~2 2>&1 | tail -1`,
  }),
  ...cases(
    'gcc',
    {
      make: `
mkdir /tmp/m; cd /tmp/m; for i in a b c d; do printf '#include "all.h"\\nint %s(int x) { return x + sizeof(#x) + %d; }\\n' f$i $(printf %d "'$i") > $i.c; echo "int f$i(int);"; done > all.h
printf '#include "all.h"\\n#include <stdio.h>\\n#include <math.h>\\nint main(int n, char **v) { printf("%%d %%.3f %%s\\\\n", fa(1) + fb(2) + fc(3) + fd(4), sqrt(n), v[1]); return 42; }\\n' > main.c; sed -i 's/sizeof(#x)/1/' ?.c
printf 'O = main.o a.o b.o c.o d.o\\nprog: $(O)\\n\\tgcc -o $@ $(O) -lm\\n%%.o: %%.c all.h\\n\\tgcc -O2 -c $<\\nclean:\\n\\trm -f $(O) prog\\n' > Makefile; make -j2 -s; ./prog arg; echo $?; make; touch a.c; make -s; make -n clean | head -1; make nosuch 2>&1 | tail -1; gcc -shared -fPIC -o libx.so a.c; gcc main.c b.c c.c d.c -L. -lx -lm -o dyn; LD_LIBRARY_PATH=. ./dyn so; echo 'int main(){return x;}' | gcc -x c - 2>&1 | grep -c error; file prog | cut -d, -f1-2; strip prog; ./prog s; nm -D prog | grep -c printf; objdump -d a.o | grep -c ret; gcc -E all.h | tail -1; ar rc l.a a.o b.o; ar t l.a; size a.o | tail -1 | awk '{print NF}'`,
      threads: `
cd /tmp; cat > t.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <semaphore.h>
#include <unistd.h>
static __thread int tls = 7; static int shared, turn; static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static void *work(void *p) { long id = (long)p; tls += (int)id; for (int i = 0; i < 50000; i++) { pthread_mutex_lock(&m); shared++; pthread_mutex_unlock(&m); }
  pthread_mutex_lock(&m); while (turn != id) pthread_cond_wait(&c, &m); printf("thread %ld tls %d\\n", id, tls); turn++; pthread_cond_broadcast(&c); pthread_mutex_unlock(&m); return (void *)(id * 10); }
static pthread_key_t key; static void gone(void *p) { printf("destructor %s\\n", (char *)p); } static void *keyed(void *p) { pthread_setspecific(key, p); return 0; } static void cleanup(void *p) { printf("cleanup %s\\n", (char *)p); } static void *sleeper(void *p) { (void)p; pthread_cleanup_push(cleanup, "x"); for (;;) sleep(10); pthread_cleanup_pop(0); return 0; }
int main(void) { setvbuf(stdout, 0, _IOLBF, 0); pthread_t t[8]; for (long i = 0; i < 8; i++) pthread_create(&t[i], 0, work, (void *)i); long sum = 0; for (int i = 0; i < 8; i++) { void *r; pthread_join(t[i], &r); sum += (long)r; } printf("%d %ld %d\\n", shared, sum, tls);
  pthread_key_create(&key, gone); pthread_create(t, 0, keyed, "value"); pthread_join(*t, 0); pthread_create(t, 0, sleeper, 0); usleep(20000); pthread_cancel(*t); void *r; pthread_join(*t, &r); printf("%d\\n", r == PTHREAD_CANCELED); pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER; pthread_rwlock_rdlock(&rw); printf("%d\\n", pthread_rwlock_trywrlock(&rw) == EBUSY); sem_t s; sem_init(&s, 0, 1); sem_wait(&s); printf("%d\\n", sem_trywait(&s));
  for (int i = 0; i < 300; i++) { pthread_create(t, 0, keyed, 0); pthread_join(*t, 0); } struct timespec ts; clock_gettime(CLOCK_REALTIME, &ts); ts.tv_nsec += 20000000; if (ts.tv_nsec >= 1000000000) { ts.tv_sec++; ts.tv_nsec -= 1000000000; } pthread_mutex_lock(&m); printf("%d\\n", pthread_cond_timedwait(&c, &m, &ts) == ETIMEDOUT); pthread_barrier_t b; pthread_barrier_init(&b, 0, 1); printf("%d\\n", pthread_barrier_wait(&b)); exit(3); }
END
gcc -O1 -pthread -o dynamic t.c && ./dynamic; echo $?; gcc -O1 -static -pthread -o static t.c && ./static | md5sum; ./dynamic | md5sum; gcc -O1 -static-pie -pthread -o pie t.c && ./pie | md5sum; gcc -g -fno-pie -no-pie -pthread -o nopie t.c && ./nopie | md5sum
cat > b.c <<'END'
#include <stdio.h>
#include <sys/auxv.h>
#include <string.h>
#include <elf.h>
extern char **environ;
int main(int n, char **v) { printf("%d %s %ld %d %d %s\\n", n, v[0], getauxval(AT_PAGESZ), getauxval(AT_RANDOM) != 0, getauxval(AT_SYSINFO_EHDR) != 0, (char *)getauxval(AT_EXECFN)); printf("%lu %lu %lu %d\\n", getauxval(AT_UID), getauxval(AT_SECURE), getauxval(AT_CLKTCK), getauxval(AT_HWCAP) != 0); for (char **e = environ; *e; e++) if (!strncmp(*e, "LANG", 4)) puts(*e); return 0; }
END
gcc -o aux b.c; ./aux 1 2; ldd ./aux | sed 's/ (.*//' | sort; LD_TRACE_LOADED_OBJECTS=1 ./aux | wc -l; printf '#!/tmp/aux opt arg\\n' > script; chmod +x script; ./script x; LD_PRELOAD=/nothere ./aux 2>&1 | grep -c cannot`,
    },
    { timeoutMs: 180_000 },
  ),
  ...cases('sqlite3', {
    shell: `cd /tmp; sqlite3 d.db 'create table t(a,b); insert into t values (1,"x"),(2,"y"); select * from t;'; sqlite3 d.db .dump; sqlite3 -json d.db 'select sum(a) s from t'; seq 10000 | sqlite3 d.db '.import /dev/stdin n' 'select count(*) from n'; sqlite3 d.db 'pragma journal_mode=wal; insert into t values (3,"z"); select count(*) from t'; echo 'select bad' | sqlite3 d.db 2> /dev/null; echo $?`,
  }),
  ...cases('system', {
    proc: `
cat /proc/self/comm; tr '\\0' ' ' < /proc/self/cmdline; echo; readlink /proc/self/exe /proc/self/cwd /proc/self/root; readlink /proc/self/fd/1 | sed 's/[0-9]*//g'; ls /proc/self | grep -cE '^(cmdline|comm|cwd|environ|exe|fd|maps|mounts|root|stat|statm|status|task|mountinfo|limits|fdinfo|io|auxv|oom_score_adj)$'; grep -E '^(Name|Pid|PPid|Uid|Gid|Threads|Tgid|TracerPid)' /proc/$$/status | sed 's/[0-9][0-9]*$/N/'; awk '{print $2, $4, NF}' /proc/$$/stat; head -c 13 /proc/version; echo; grep -c ^processor /proc/cpuinfo | sed 's/[0-9]*/N/'; grep -E '^(MemTotal|MemFree|MemAvailable|SwapTotal)' /proc/meminfo | cut -d: -f1; cut -d' ' -f1 /proc/uptime | grep -c . ; awk '{print NF}' /proc/loadavg; cat /proc/sys/kernel/ostype; ls /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory; cat /proc/filesystems | grep -cE 'proc|tmpfs|devpts'; grep -c . /proc/self/maps | sed 's/.*/maps/'; grep -cE 'stack|heap|vdso' /proc/self/maps; cat /proc/nothere 2>&1 | sed 's/.*: //'; echo x > /proc/version 2>&1; set -- /proc/[0-9]*; echo $#; cat /proc/self/oom_score_adj; ls /proc/self/task | wc -l; ls -la /proc/self/fd | awk 'NR > 3 {print $9}' | head -3; cat /proc/self/environ | tr '\\0' '\\n' | grep ^HOME; cat /proc/mounts | awk '$2 == "/proc" || $2 == "/tmp" || $2 == "/dev/pts" {print $2, $3}' | sort; wc -l < /proc/self/limits; grep 'open files' /proc/self/limits | awk '{print $4, $5}'; printf newname > /proc/self/comm && echo set`,
    procps: `
ps -ef | awk '{print $8}' | head -2 | tail -1; ps aux | wc -l; ps aux 2>&1 > /dev/null | wc -c; ps -o comm= -p $$; ps -o stat= -p $$ | cut -c1; free | awk '{print $1}' | head -2; uptime | grep -c load; pidof bash > /dev/null && echo pidof; sleep 5 & pgrep sleep > /dev/null && echo pgrep; pkill sleep; wait; top -bn1 | head -1 | cut -c1-3; vmstat | wc -l; w -h | wc -l; pstree -A | head -1 | cut -d- -f1; killall -q none; echo $?; lsblk > /dev/null 2>&1; mount | awk '$3 == "/proc" {print $5}'; kill -l 15; sysctl -n kernel.ostype; who | wc -l; fuser /etc/passwd; echo $?; pmap $$ | tail -1 | awk '{print $1}'; slabtop --version > /dev/null && echo version; watch --version > /dev/null; tload -V > /dev/null; uname -n; lscpu | grep -c Architecture; getent passwd nobody; getconf PAGESIZE; hostname; ipcs -m | wc -l; nproc | grep -c .; taskset -p $$ | grep -c mask; chrt -p $$ | head -1 | sed 's/.*: //'; ionice; prlimit --nofile --output=SOFT,HARD --noheadings; flock /tmp/l echo locked; mountpoint /proc; findmnt -n -o FSTYPE /proc; setsid echo session; unshare -U true 2>&1 | head -c 0; renice -n 1 $$ > /dev/null && nice; getopt ab: -a -b x; script -qc 'echo in script' /dev/null; rev <<< abc; logger -s x 2> /dev/null; mcookie | wc -c; namei /etc/passwd; uuidgen 2> /dev/null | wc -c; whereis -b ls; more /etc/hostname > /dev/null`,
    mounts: `
mkdir -p /tmp/a /tmp/b; mount -t tmpfs none /tmp/a; echo x > /tmp/a/f; mount --bind /tmp/a /tmp/b; cat /tmp/b/f; mount -o remount,ro,bind /tmp/b; echo y 2>&1 > /tmp/b/f | sed 's/.*: //'; umount /tmp/b; ls /tmp/b; umount /tmp/a; ls /tmp/a; umount /tmp/a 2>&1 | sed 's/.*: //'; mount -t bogus none /tmp/a 2>&1 | sed 's/.*: //' | head -1; mkdir /tmp/a/r; mount --bind / /tmp/a/r && ls /tmp/a/r/etc/passwd; umount /tmp/a/r; mount -t proc proc /tmp/a; ls /tmp/a/self/comm; cd /tmp/a; umount /tmp/a 2>&1 | sed 's/.*: //'; cd /; umount /tmp/a; mount | grep -c /tmp/a`,
    dev: `
head -c 16 /dev/urandom | wc -c; head -c 5 /dev/zero | od -An -tx1; echo x > /dev/null; cat /dev/null | wc -c; echo x > /dev/full; ls /dev | grep -E '^(null|zero|full|random|urandom|tty|ptmx|pts|shm|fd|stdin|stdout|stderr)$'; stat -c '%a %F' /dev/null /dev/shm /dev/ptmx /dev/pts/ptmx; echo x > /dev/tty; dd if=/dev/random of=/dev/null bs=64 count=1 status=none && echo random; readlink /dev/fd /dev/stdin; test -c /dev/null && echo c; sh -c 'echo err >&2' 2> /dev/stdout; ls /sys | head -3; cat /sys/kernel/none 2>&1 | sed 's/.*: //'; test -d /sys/devices/system/cpu && echo cpu; cat /sys/devices/system/cpu/online > /dev/null && echo online`,
  }),
];
