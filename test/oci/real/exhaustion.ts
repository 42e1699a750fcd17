/** Guests that use up processes, memory, descriptors and mappings: the Sentry says so and lives on. */
import * as fs from 'node:fs';
import type { Check } from './check.ts';
import { type Change, check, same, type World } from './world.ts';

/** Runs the hog beside a process that must stay well, and gives what the hog printed. */
async function hog(w: World, args: readonly string[], change: Change = () => {}): Promise<string> {
  await w.running('hog', ['/bin/sleep', '1000'], change);
  const { status, stdout, stderr } = await w.runsc(['exec', 'hog', '/bin/hog', ...args]);
  check(status === 0, `hog ${args.join(' ')}: ${status} ${stdout}${stderr}`);
  same(await w.ok('exec', 'hog', '/bin/echo', 'well'), 'well\n');
  same(await w.status('hog'), 'running');
  return stdout;
}

const manyDescriptors: Change = (c) => {
  c.process.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 20000, hard: 20000 }];
};

function descriptors(kind: string): Check {
  return {
    name: `more ${kind} than there are descriptors`,
    body: async (w) => {
      const host = w.file('host');
      fs.mkdirSync(host);
      // The host gives the Sentry fewer than the guest may have.
      w.prefix = ['prlimit', '--nofile=300:300'];
      const stdout = await hog(w, [kind], (c) => {
        manyDescriptors(c);
        c.mounts.push({ destination: '/data/v', type: 'bind', source: host, options: ['rbind'] });
      });
      check(
        new RegExp(`^${kind} (EMFILE|ENFILE|ENOMEM) after some\nand then a file opens\n$`).test(
          stdout,
        ),
        stdout,
      );
    },
  };
}

async function forks(w: World): Promise<void> {
  const stdout = await hog(w, ['forks'], (c) => {
    c.process.rlimits = [{ type: 'RLIMIT_NPROC', soft: 200, hard: 200 }];
    // Those who may administer are not bound by it.
    c.process.capabilities = {};
    c.process.user = { uid: 1000, gid: 1000 };
  });
  check(/^forks (EAGAIN|ENOMEM) after some\nand then fork works\n$/.test(stdout), stdout);
}

/** The host's limit, not the guest's: the cgroup lets the sandbox have that many processes. */
async function hostProcesses(w: World): Promise<void> {
  const stdout = await hog(w, ['forks'], (c) => {
    c.linux.cgroupsPath = `/runsc-oci-test-${process.pid}`;
    c.linux.resources = { pids: { limit: 60 } };
  });
  check(/^forks (EAGAIN|ENOMEM) after some\nand then fork works\n$/.test(stdout), stdout);
}

async function bomb(w: World): Promise<void> {
  await w.running(
    'bomb',
    ['/bin/sh', '-c', 'exec 2> /dev/null; f() { f | f & sleep 1000; }; f & exec sleep 1000'],
    (c) => {
      c.linux.cgroupsPath = `/runsc-oci-test-${process.pid}`;
      c.linux.resources = { pids: { limit: 100 } };
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 1500));
  same(await w.status('bomb'), 'running');
  await w.ok('kill', '--all', 'bomb', 'KILL');
  await w.ok('delete', '--force', 'bomb');
}

async function threads(w: World): Promise<void> {
  const stdout = await hog(w, ['threads'], (c) => {
    c.linux.cgroupsPath = `/runsc-oci-test-${process.pid}`;
    c.linux.resources = { pids: { limit: 60 } };
  });
  check(/^threads (EAGAIN|ENOMEM) after some\n$/.test(stdout), stdout);
}

function mappings(kind: string, wanted: RegExp): Check {
  return {
    name: `more mappings than the host has room for: ${kind}`,
    body: async (w) => {
      const stdout = await hog(w, [kind]);
      check(wanted.test(stdout), stdout);
    },
  };
}

async function memory(w: World): Promise<void> {
  const stdout = await hog(w, ['memory', '600'], (c) => {
    c.process.rlimits = [{ type: 'RLIMIT_AS', soft: 2 ** 29, hard: 2 ** 29 }];
  });
  check(/^memory (ENOMEM|no error) after some\n$/.test(stdout), stdout);
}

export const EXHAUSTION: readonly Check[] = [
  ...['files', 'hostfiles', 'pipes', 'sockets', 'memfds', 'epolls', 'eventfds'].map(descriptors),
  { name: 'more processes than RLIMIT_NPROC', body: forks },
  { name: 'more processes than the cgroup allows', body: hostProcesses },
  { name: 'a fork bomb', body: bomb },
  { name: 'more threads than the cgroup allows', body: threads },
  mappings('holes', /^holes ENOMEM after some\n$/),
  mappings('scattered', /^scattered: child 0, wrong pages 0\n$/),
  { name: 'more memory than RLIMIT_AS', body: memory },
];
