/** Which blocks of our code have run, from V8's precise coverage. */
import { Session } from 'node:inspector';

interface Block {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Block[] }[];
}

const OURS = /\/(spec|gofer|sentry|runtime|native)\//;

export class Coverage {
  private readonly session = new Session();
  private readonly seen = new Set<string>();

  constructor() {
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** How many blocks have run so far. */
  get blocks(): number {
    return this.seen.size;
  }

  /** The blocks that ran since the last call and never before `learn` was told of them. */
  news(): string[] {
    let scripts: readonly Script[] = [];
    // Sessions of the own thread answer before `post` returns.
    this.session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error === null) scripts = (taken as unknown as { result: Script[] }).result;
    });
    const news: string[] = [];
    for (const { url, functions } of scripts) {
      if (!OURS.test(url)) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          const block = `${url}:${startOffset}:${endOffset}`;
          if (count > 0 && !this.seen.has(block)) news.push(block);
        }
      }
    }
    return news;
  }

  learn(blocks: readonly string[]): void {
    for (const block of blocks) this.seen.add(block);
  }
}
