/**
 * Fuzzes one target in a process of its own: `main.ts TARGET [--seconds=N] [--seed=N] [--keep]
 * [--findings=DIR]`. Ends with status 1 on a finding. --keep adds what reaches new code to the corpus.
 */
import { parseArgs } from 'node:util';
import { ROOT } from '../harness/runtime.ts';
import { Fuzzer } from './fuzzer.ts';
import type { Target } from './target.ts';
import { ConfigJson } from './targets/config.ts';
import { Control } from './targets/control.ts';
import { Dbus } from './targets/dbus.ts';
import { Elf } from './targets/elf.ts';
import { P9Client } from './targets/p9_client.ts';
import { P9Server } from './targets/p9_server.ts';

const TARGETS: Readonly<Record<string, () => Target>> = {
  p9_server: () => new P9Server(),
  p9_client: () => new P9Client(),
  elf: () => new Elf(),
  config: () => new ConfigJson(),
  control: () => new Control(),
  dbus: () => new Dbus(),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
    findings: { type: 'string', default: `${ROOT}/build/fuzz` },
    keep: { type: 'boolean', default: false },
  },
});

const make = TARGETS[positionals[0] ?? ''];
if (make === undefined) throw new Error(`name a target: ${Object.keys(TARGETS).join(', ')}`);
const target = make();
const seed = Number(values.seed);
const fuzzer = new Fuzzer(target, seed, values.keep);
const { runs, found, blocks, finding } = fuzzer.work(Number(values.seconds), values.findings);
target.close();
console.log(`${target.name}: ${runs} inputs, ${found} kept, ${blocks} blocks, seed ${seed}`);
if (finding !== null) console.log(`FINDING ${finding}`);
process.exitCode = finding === null ? 0 : 1;
