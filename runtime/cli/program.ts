/**
 * runsc: the command line. Parses the global flags, loads the one command that is called, and turns
 * whatever it ends with into the log line, the message and the exit status.
 */

import { COMMANDS } from '../commands/table.ts';
import type { Host } from '../host/host.ts';
import { versionText } from '../version.ts';
import { EXIT_FAILURE, Failure, messageOf } from './failure.ts';
import { parseArgs, parseLeadingFlags } from './flags.ts';
import type { RuntimeConfig } from './global_flags.ts';
import { GLOBAL_SYNTAX, runtimeConfig } from './global_flags.ts';
import { appendLog } from './log.ts';
import { print, printError } from './output.ts';

/** The exit status of `runsc ARGV...`. `host` is for tests: the real one is loaded when needed. */
export async function main(argv: readonly string[], host: Host | null = null): Promise<number> {
  let config: RuntimeConfig | null = null;
  try {
    const { flags, next } = parseLeadingFlags(GLOBAL_SYNTAX, argv);
    if (flags.version) {
      print(versionText());
      return 0;
    }
    const rest = argv.slice(next).filter((arg, index) => index > 0 || arg !== '--');
    if (flags.help || rest.length === 0) {
      const { helpOn } = await import('../commands/help.ts');
      const text = await helpOn(rest[0] ?? '');
      if (flags.help) print(text);
      else printError(text);
      return flags.help ? 0 : EXIT_FAILURE;
    }
    config = runtimeConfig(flags, {
      uid: process.geteuid?.() ?? 0,
      runtimeDirectory: process.env.XDG_RUNTIME_DIR ?? '',
    });
    return await runCommand(config, rest[0] ?? '', rest.slice(1), host);
  } catch (thrown) {
    return report(thrown, config, argv);
  }
}

async function runCommand(
  config: RuntimeConfig,
  name: string,
  argv: readonly string[],
  host: Host | null,
): Promise<number> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    throw new Failure(`unknown command "${name}": known are ${Object.keys(COMMANDS).join(', ')}`);
  }
  const command = await entry.load();
  const args = parseArgs(command, argv);
  if (args.help) {
    const { helpOn } = await import('../commands/help.ts');
    print(await helpOn(name));
    return 0;
  }
  const [{ Context }, { Log }] = await Promise.all([import('./context.ts'), import('./log.ts')]);
  const log = new Log(config, name, args.positionals[0] ?? '');
  log.debug(`runsc ${name} ${argv.join(' ')}`);
  const used = host ?? (await linuxHost());
  used.shedCapabilities();
  return await command.run(new Context(config, log, used), args);
}

async function linuxHost(): Promise<Host> {
  return new (await import('../host/linux_host.ts')).LinuxHost();
}

/** One line on stderr, one in --log. Anything but a Failure is a bug: its stack is shown. */
function report(thrown: unknown, config: RuntimeConfig | null, argv: readonly string[]): number {
  const isBug = !(thrown instanceof Failure);
  const message = isBug ? `internal error: ${messageOf(thrown)}` : thrown.message;
  if (config !== null) appendLog(config.logFile, config.logFormat, 'error', message);
  else logUnparsed(argv, message);
  printError(`runsc: ${message}\n`);
  if (isBug && thrown instanceof Error) printError(`${thrown.stack}\n`);
  return isBug ? EXIT_FAILURE : thrown.exitCode;
}

/** A bad flag must reach --log too, although the flags could not be parsed. */
function logUnparsed(argv: readonly string[], message: string): void {
  const given = (name: string) => {
    const at = argv.findIndex((arg) => arg.replace(/^--?/, '').split('=', 1)[0] === name);
    const arg = argv[at];
    if (arg === undefined) return '';
    return arg.includes('=') ? arg.slice(arg.indexOf('=') + 1) : (argv[at + 1] ?? '');
  };
  appendLog(given('log'), given('log-format') === 'json' ? 'json' : 'text', 'error', message);
}
