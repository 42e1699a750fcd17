/** runsc help security: makes a sandbox on this machine and tells what confines it, layer by layer. */

import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Config } from '../../spec/oci/config.ts';
import { findHierarchies } from '../cgroup/hierarchy.ts';
import { Context } from '../cli/context.ts';
import { Log } from '../cli/log.ts';
import { createContainer, deleteContainer } from '../container/lifecycle.ts';
import { OCI_VERSION } from '../container/state.ts';
import {
  confinedProcesses,
  confinementTable,
  refusedLayers,
} from '../sandbox/confinement_report.ts';

const ID = 'probe';

/** Throws a Failure when no sandbox can be made here. */
export async function securityHelp(context: Context): Promise<string> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'runsc-security-'));
  try {
    const { platform } = context.config;
    const report = await probe(context, directory);
    return (
      `A sandbox made here just now (--platform=${platform}), as the host's kernel sees it:\n\n` +
      `${report}\n${limits()}\nWhat each layer is for: docs/security.md\n`
    );
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function probe(outer: Context, directory: string): Promise<string> {
  const debugLog = `${directory}/log`;
  const rootDirectory = `${directory}/state`;
  const config = { ...outer.config, rootDirectory, debug: true, debugLog, ignoreCgroups: true };
  const context = new Context(config, new Log(config, 'help', ID), outer.host);
  const bundle = { path: directory, config: probeConfig() };
  const state = await createContainer(context, {
    id: ID,
    bundle,
    consoleSocket: '',
    pidFile: '',
    temporaryBundle: false,
    foreground: true,
  });
  try {
    const processes = confinedProcesses(state.sentry?.pid ?? 0, state.gofer?.pid ?? 0);
    return `${confinementTable(processes)}\n${refusedLayers(fs.readFileSync(debugLog, 'utf8'))}`;
  } finally {
    deleteContainer(context, ID, true);
  }
}

/** A program that is there for certain; it is never started. */
function probeConfig(): Config {
  const namespaces = (['pid', 'network', 'ipc', 'uts', 'mount'] as const).map((type) => ({ type }));
  return {
    ociVersion: OCI_VERSION,
    root: { path: '/' },
    process: { user: { uid: 0, gid: 0 }, args: [process.execPath], env: [], cwd: '/' },
    linux: { namespaces },
  };
}

/** Which limits of linux.resources would hold: the controllers whose hierarchy we may write. */
function limits(): string {
  const controllers = findHierarchies()
    .filter(({ mountPoint, ownPath }) => writable(mountPoint) || writable(mountPoint + ownPath))
    .flatMap(({ controllers: names, version }) => names.map((name) => `${name} (v${version})`));
  const list = controllers.join(', ') || 'none: no limit of linux.resources can be set';
  return `Cgroup controllers that can be used: ${list}`;
}

function writable(directory: string): boolean {
  try {
    fs.accessSync(directory, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
