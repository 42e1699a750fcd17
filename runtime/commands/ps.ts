/**
 * runsc ps: the processes of a container. The table shows the container's own numbers; JSON, which
 * containerd reads as host pids (docker top looks them up on the host), holds the host process that
 * stands for the container.
 */

import type { ProcessInfo } from '../../spec/control/protocol.ts';
import { print, table } from '../cli/output.ts';
import { connect } from '../container/lifecycle.ts';
import { defineCommand } from './command.ts';

export const psCommand = defineCommand({
  name: 'ps',
  summary: 'list the processes of a container',
  positionals: ['id'],
  flags: {
    format: {
      kind: 'string',
      alias: 'f',
      default: 'table',
      choices: ['table', 'json'],
      help: 'table, or json for the host pid of the container',
    },
  },
  run(context, { flags, positionals: [id = ''] }) {
    const state = context.store.load(id);
    const client = connect(context, state);
    try {
      if (flags.format === 'json') {
        print(`${JSON.stringify([state.sentry?.pid ?? 0])}\n`);
        return 0;
      }
      const { processes } = client.call('processes', { cid: id });
      print(table([HEADER, ...processes.map(row)]));
    } finally {
      client.close();
    }
    return 0;
  },
});

const HEADER = ['UID', 'PID', 'PPID', 'C', 'TTY', 'STIME', 'TIME', 'CMD'];

function row(info: ProcessInfo): string[] {
  const start = new Date(info.startTimeMs);
  const today = start.toDateString() === new Date().toDateString();
  const stime = today ? start.toTimeString().slice(0, 5) : start.toDateString().slice(4, 10);
  return [
    String(info.uid),
    String(info.pid),
    String(info.ppid),
    String(Math.round(info.cpuPercent)),
    info.tty,
    stime,
    `${Math.floor(info.cpuTimeMs / 10) / 100}s`,
    info.command,
  ];
}
