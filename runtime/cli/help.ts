/** Help, rendered by yargs from the tables of flags. Loaded only when asked for. */

import type { Argv, Options } from 'yargs';
import { type Flags, type Syntax, usage } from './flags.ts';
import { GLOBAL_SYNTAX } from './global_flags.ts';

const WIDTH = 100;

/** Help on runsc as a whole. */
export async function globalHelp(summaries: Readonly<Record<string, string>>): Promise<string> {
  const parser = await plainParser(
    'runsc [flags] <command> [flags] [arguments]',
    GLOBAL_SYNTAX.summary,
  );
  for (const [name, summary] of Object.entries(summaries)) parser.command(name, summary);
  parser.options(optionsOf(GLOBAL_SYNTAX.flags));
  return `${await parser.getHelp()}\n`;
}

/** Help on one command. */
export async function commandHelp(syntax: Syntax): Promise<string> {
  const parser = await plainParser(usage(syntax).replace(/^usage: /, ''), syntax.summary);
  parser.options(optionsOf(syntax.flags));
  return `${await parser.getHelp()}\n`;
}

async function plainParser(line: string, description: string): Promise<Argv> {
  const { default: yargs } = await import('yargs');
  return yargs([])
    .scriptName('runsc')
    .usage(`${line}\n\n${description}`)
    .wrap(WIDTH)
    .version(false)
    .help(false)
    .exitProcess(false);
}

function optionsOf(flags: Flags): Record<string, Options> {
  const options: Record<string, Options> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const type = (
      { boolean: 'boolean', int: 'number', string: 'string', strings: 'array' } as const
    )[flag.kind];
    options[name] = {
      type,
      describe: flag.help,
      ...(flag.alias !== undefined ? { alias: flag.alias } : {}),
      ...(flag.choices !== undefined ? { choices: flag.choices } : {}),
      ...(flag.default !== undefined ? { default: flag.default } : {}),
    };
  }
  return options;
}
