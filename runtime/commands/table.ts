/** All commands, each loaded only when it is called. */

import type { Command } from './command.ts';

interface Entry {
  readonly summary: string;
  /** A command's own type of flags is its own business. */
  readonly load: () => Promise<Command>;
}

const as = (command: unknown): Command => command as Command;

export const COMMANDS: Readonly<Record<string, Entry>> = {
  create: {
    summary: 'make a container from a bundle',
    load: async () => as((await import('./create.ts')).createCommand),
  },
  delete: {
    summary: 'remove a container and all that was made for it',
    load: async () => as((await import('./delete.ts')).deleteCommand),
  },
  do: {
    summary: "run a program on this machine's files below an overlay in memory",
    load: async () => as((await import('./do.ts')).doCommand),
  },
  events: {
    summary: "print a container's statistics and out-of-memory events, as JSON",
    load: async () => as((await import('./events.ts')).eventsCommand),
  },
  exec: {
    summary: 'run another process in a container',
    load: async () => as((await import('./exec.ts')).execCommand),
  },
  help: {
    summary: 'print help on runsc, a command, or the topics syscalls, seccomp and security',
    load: async () => as((await import('./help.ts')).helpCommand),
  },
  kill: {
    summary: 'send a signal to a container',
    load: async () => as((await import('./kill.ts')).killCommand),
  },
  list: {
    summary: 'list the containers',
    load: async () => as((await import('./list.ts')).listCommand),
  },
  pause: {
    summary: 'stop all processes of a container',
    load: async () => as((await import('./pause.ts')).pauseCommand),
  },
  ps: {
    summary: 'list the processes of a container',
    load: async () => as((await import('./ps.ts')).psCommand),
  },
  resume: {
    summary: 'let a paused container run on',
    load: async () => as((await import('./resume.ts')).resumeCommand),
  },
  run: {
    summary: 'create, start and attend a container, and delete it when it ends',
    load: async () => as((await import('./run.ts')).runCommand),
  },
  spec: {
    summary: 'write a config.json to begin with',
    load: async () => as((await import('./spec.ts')).specCommand),
  },
  start: {
    summary: 'let a created container run',
    load: async () => as((await import('./start.ts')).startCommand),
  },
  state: {
    summary: "print a container's state, as JSON",
    load: async () => as((await import('./state.ts')).stateCommand),
  },
  update: {
    summary: 'change the limits of a container',
    load: async () => as((await import('./update.ts')).updateCommand),
  },
  wait: {
    summary: 'wait until a container or one of its processes ends',
    load: async () => as((await import('./wait.ts')).waitCommand),
  },
};
