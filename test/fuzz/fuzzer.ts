/**
 * A small fuzzer: changes inputs at random, keeps those that reach code no other reached, and stops at the
 * first that throws, takes longer than a second, or leaves memory or descriptors behind. The same seed
 * does the same, as far as time allows.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Random } from '../oci/real/random.ts';
import { Coverage } from './coverage.ts';
import { mutate } from './mutation.ts';
import type { Target } from './target.ts';

const CORPUS = join(import.meta.dirname, 'corpus');
const MAX_RUN_MS = 1000;
/** Inputs between two looks at what they reached. */
const BATCH = 64;
const MAX_GROWTH_BYTES = 64 << 20;
const GC_EVERY = 2048;
/** Looks at the memory over which it must have grown every time. */
const GROWING = 8;

export interface Outcome {
  readonly runs: number;
  /** Inputs kept because they reached something new. */
  readonly found: number;
  readonly blocks: number;
  readonly finding: string | null;
}

/** The inputs in test/fuzz/corpus/TARGET. */
function corpusOf(target: string): Uint8Array[] {
  const directory = join(CORPUS, target);
  if (!fs.existsSync(directory)) return [];
  const names = fs.readdirSync(directory).sort();
  return names.map((name) => Uint8Array.from(fs.readFileSync(join(directory, name))));
}

function keepIn(directory: string, input: Uint8Array): string {
  fs.mkdirSync(directory, { recursive: true });
  const name = createHash('sha1').update(input).digest('hex').slice(0, 12);
  fs.writeFileSync(join(directory, name), input);
  return name;
}

function openFds(): number {
  return fs.readdirSync('/proc/self/fd').length;
}

/** Collects what can be collected; the bytes in use. */
function memoryInUse(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export class Fuzzer {
  private readonly target: Target;
  private readonly random: Random;
  private readonly coverage = new Coverage();
  private readonly inputs: Uint8Array[] = [];
  private readonly keep: boolean;
  private runs = 0;
  private found = 0;
  private current: Uint8Array = new Uint8Array();
  private readonly memory: number[] = [];

  constructor(target: Target, seed: number, keep: boolean) {
    this.target = target;
    this.random = new Random(seed);
    this.keep = keep;
  }

  /** Works for `seconds`. The input of a finding is put into `findings`. */
  work(seconds: number, findings: string): Outcome {
    let finding: string | null = null;
    try {
      this.start();
      const until = performance.now() + seconds * 1000;
      while (performance.now() < until) this.batch();
    } catch (error) {
      const name = keepIn(findings, this.current);
      const why = error instanceof Error ? (error.stack ?? error.message) : `${error}`;
      finding = `${join(findings, name)}: ${why}`;
    }
    const { runs, found } = this;
    return { runs, found, blocks: this.coverage.blocks, finding };
  }

  /** All that is known already, each alone: what was once a finding stays none. */
  private start(): void {
    for (const input of [...corpusOf(this.target.name), ...this.target.seeds()]) {
      this.one(input);
      this.inputs.push(input);
    }
    this.coverage.learn(this.coverage.news());
  }

  private batch(): void {
    const tried: Uint8Array[] = [];
    for (let i = 0; i < BATCH; i++) {
      // The newest are the least understood.
      const recent = Math.min(this.inputs.length, 16);
      const pool = this.random.below(2) === 0 ? this.inputs : this.inputs.slice(-recent);
      const input = mutate(this.random.pick(pool), this.random, this.inputs, this.target.tokens);
      this.one(input);
      tried.push(input);
    }
    this.target.check();
    const news = this.coverage.news();
    if (news.length > 0) this.keepCulprits(tried);
    // What only all of them together reached.
    this.coverage.learn(news);
  }

  /** Runs the inputs again, one by one, to see which it was. */
  private keepCulprits(tried: readonly Uint8Array[]): void {
    for (const input of tried) {
      this.one(input);
      const news = this.coverage.news();
      if (news.length === 0) continue;
      this.coverage.learn(news);
      this.found++;
      this.inputs.push(input);
      if (this.keep) keepIn(join(CORPUS, this.target.name), input);
    }
  }

  private one(input: Uint8Array): void {
    this.current = input;
    const fds = openFds();
    const started = performance.now();
    this.target.run(input);
    const took = performance.now() - started;
    if (took > MAX_RUN_MS) throw new Error(`took ${took.toFixed(0)} ms`);
    const left = openFds() - fds;
    if (left !== 0) throw new Error(`${left} descriptors were left behind`);
    if (++this.runs % GC_EVERY === 0) this.checkMemory();
  }

  /** What is in use may not have grown since long ago. */
  private checkMemory(): void {
    this.memory.push(memoryInUse());
    const last = this.memory.slice(-GROWING);
    if (last.length < GROWING || last.at(-1)! - last[0]! < MAX_GROWTH_BYTES) return;
    if (last.every((m, i) => i === 0 || m > last[i - 1]!)) {
      throw new Error(`memory grows: ${this.memory.map((m) => m >> 20).join(' ')} MiB`);
    }
  }
}
