/**
 * The two logs. `--log` gets what the caller must know, appended (never truncated) as containerd
 * reads it: one JSON object per line, the last one of level "error" is what its user sees.
 * `--debug-log` gets the debug messages, and its descriptor goes to the Sentry for strace.
 */

import * as fs from 'node:fs';
import { makeDirectories } from '../host/directories.ts';
import { Failure, messageOf } from './failure.ts';
import type { RuntimeConfig } from './global_flags.ts';

export type LogLevel = 'error' | 'warning' | 'info' | 'debug';

export class Log {
  /** The open debug log, or -1. */
  readonly debugFd: number;
  private readonly config: RuntimeConfig;

  constructor(config: RuntimeConfig, command: string, id: string) {
    this.config = config;
    this.debugFd = openDebugLog(config.debugLog, command, id);
  }

  error(message: string): void {
    appendLog(this.config.logFile, this.config.logFormat, 'error', message);
    this.debug(`error: ${message}`);
  }

  warning(message: string): void {
    appendLog(this.config.logFile, this.config.logFormat, 'warning', message);
    this.debug(`warning: ${message}`);
  }

  debug(message: string): void {
    if (!this.config.debug) return;
    const line = `${new Date().toISOString()} ${process.pid} ${message}\n`;
    if (this.debugFd >= 0) fs.writeSync(this.debugFd, line);
    if (this.config.alsoLogToStderr) fs.writeSync(2, line);
  }
}

/** Appends one line to `--log`. A log that cannot be written is no reason to fail. */
export function appendLog(
  file: string,
  format: 'text' | 'json',
  level: LogLevel,
  message: string,
): void {
  if (file === '') return;
  const time = new Date().toISOString();
  const line =
    format === 'json'
      ? JSON.stringify({ level, msg: message, time })
      : `time="${time}" level=${level} msg=${JSON.stringify(message)}`;
  try {
    fs.appendFileSync(file, `${line}\n`, { mode: 0o644 });
  } catch {
    // The same message goes to stderr.
  }
}

function openDebugLog(pattern: string, command: string, id: string): number {
  if (pattern === '') return -1;
  const timestamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 22);
  const name = pattern.endsWith('/')
    ? `${pattern}runsc.log.${timestamp}.${command || 'runsc'}.txt`
    : pattern;
  const file = name
    .replaceAll('%TIMESTAMP%', timestamp)
    .replaceAll('%COMMAND%', command)
    .replaceAll('%ID%', id);
  try {
    const slash = file.lastIndexOf('/');
    if (slash > 0) makeDirectories(file.slice(0, slash), 0o755);
    return fs.openSync(file, 'a', 0o644);
  } catch (thrown) {
    throw new Failure(`--debug-log: cannot open ${file}: ${messageOf(thrown)}`);
  }
}
