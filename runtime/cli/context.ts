/** What a command works with: the configuration, the log, the host and the container store. */

import type { Hook } from '../../spec/oci/config.ts';
import type { ContainerState } from '../container/state.ts';
import { Store } from '../container/store.ts';
import type { Host } from '../host/host.ts';
import type { ControlClient } from '../sandbox/control_client.ts';
import { runHookInside } from '../sandbox/hook_inside.ts';
import type { RuntimeConfig } from './global_flags.ts';
import type { Log } from './log.ts';

export class Context {
  readonly config: RuntimeConfig;
  readonly log: Log;
  readonly host: Host;
  readonly store: Store;

  constructor(config: RuntimeConfig, log: Log, host: Host) {
    this.config = config;
    this.log = log;
    this.host = host;
    this.store = new Store(config.rootDirectory, host);
  }

  /**
   * Where the sandbox writes debug messages and strace lines: the debug log, or for a command in
   * the foreground stderr, as strace(1) does; -1 for nowhere.
   */
  debugFdFor(foreground: boolean): number {
    const { config, log } = this;
    if (!config.debug && !config.strace) return -1;
    if (log.debugFd >= 0) return log.debugFd;
    return foreground || config.alsoLogToStderr ? 2 : -1;
  }

  /** '' or what went wrong. */
  runHookInside(client: ControlClient, state: ContainerState, hook: Hook): string {
    return runHookInside(this.host, client, state, hook);
  }
}
