/** Which platform runsc takes, and that an idle sandbox costs no processor time on it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { SYS_ptrace, SYS_sigaltstack } from '../../../spec/linux/syscall_numbers.ts';
import { must } from '../../harness/command.ts';
import type { Check } from './check.ts';
import { check, same, sleep, type World } from './world.ts';

/** Runs a program with one system call refused: deny NUMBER PROGRAM... */
const DENY = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argc > 1 ? atoi(argv[1]) : 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program)) return 100;
  execv(argv[2], argv + 2);
  return 101;
}
`;
const IDLE_MS = 3000;
const RESTED_MS = 2500;
const IDLE_SHARE = 0.002;

/** The debug log of a run of /bin/true with these flags. */
async function platformLine(w: World, ...flags: readonly string[]): Promise<string> {
  const log = w.file('debug.log');
  fs.rmSync(log, { force: true });
  w.flags = ['--debug', `--debug-log=${log}`, ...flags];
  const { status, stderr } = await w.script('exit 3');
  same([status, stderr], [3, '']);
  return /platform: .*/.exec(fs.readFileSync(log, 'utf8'))?.[0] ?? 'none';
}

async function chosen(w: World): Promise<void> {
  same(await platformLine(w, '--platform=ptrace'), 'platform: ptrace');
  same(await platformLine(w, '--platform=auto'), 'platform: systrap');
  const source = w.file('deny.c');
  const deny = w.file('deny');
  fs.writeFileSync(source, DENY);
  await must(['gcc', '-Wall', '-Werror', '-o', deny, source]);
  w.prefix = [deny, `${SYS_ptrace}`];
  same(await platformLine(w, '--platform=auto'), 'platform: systrap');
  // Which systrap cannot do without.
  w.prefix = [deny, `${SYS_sigaltstack}`];
  same(
    await platformLine(w, '--platform=auto'),
    'platform: ptrace: the systrap platform cannot start: no thread whose calls trap: errno 95',
  );
  w.flags = ['--platform=systrap'];
  const refused = await w.script('exit 3');
  check(
    refused.status === 128 && /no thread whose calls trap/.test(refused.stderr),
    refused.stderr,
  );
}

/** Nanoseconds that the threads of the world's processes have run. */
function runTimeNs(w: World): number {
  let total = 0;
  for (const { pid } of w.processes()) {
    for (const task of fs.readdirSync(`/proc/${pid}/task`)) {
      const text = fs.readFileSync(
        path.join('/proc', `${pid}`, 'task', task, 'schedstat'),
        'latin1',
      );
      total += Number(text.split(' ')[0]);
    }
  }
  return total;
}

async function idle(w: World): Promise<void> {
  await w.running('idle', ['/bin/sleep', '1000']);
  // A second after the last call memory is given back, once.
  await sleep(RESTED_MS);
  const before = runTimeNs(w);
  await sleep(IDLE_MS);
  const share = (runTimeNs(w) - before) / 1e6 / IDLE_MS;
  check(share < IDLE_SHARE, `${(share * 100).toFixed(2)} % of a processor`);
}

/** The stub answers such calls only when nobody wants to see them. */
async function traced(w: World): Promise<void> {
  const log = w.file('strace.log');
  fs.rmSync(log, { force: true });
  w.flags = ['--strace', `--debug-log=${log}`];
  const { status } = await w.script('/bin/hog wakes');
  same(status, 0);
  same(fs.readFileSync(log, 'utf8').match(/ X futex\(0x\w+, 0x81, 1, /g)?.length ?? 0, 300);
}

export const PLATFORM: readonly Check[] = [
  { name: 'strace shows every futex call', body: traced },
  { name: 'an idle sandbox uses no processor', body: idle },
];
export const CHOICE: readonly Check[] = [{ name: 'the platform is chosen', body: chosen }];
