/**
 * The house rules that a machine can check: who may import whom, sizes, names, headers, and what
 * must never be committed. docs/architecture.md describes the rooms; this file is the law.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/**
 * Which rooms a room may import besides itself. A file belongs to the longest prefix listed here. An
 * entry that ends in `.ts` allows that one file. Tests may import anything.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  native: ['spec'],
  'sentry/base': ['spec'],
  'sentry/arch': ['spec', 'sentry/base', 'sentry/platform/platform.ts'],
  'sentry/platform': ['spec', 'native', 'sentry/base', 'sentry/arch'],
  'sentry/mm': ['spec', 'sentry/base', 'sentry/arch', 'sentry/platform/platform.ts'],
  'sentry/vfs': ['spec', 'sentry/base', 'sentry/mm'],
  'sentry/kernel': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/platform/platform.ts',
    'sentry/mm',
    'sentry/vfs',
    'sentry/loader',
  ],
  'sentry/loader': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/platform/platform.ts',
    'sentry/mm',
    'sentry/vfs',
  ],
  // Siblings never import each other: each folder of fsimpl/ and socket/ is a room of its own.
  // What has no name in any tree gets its inode from fsimpl/anon; what the kernel makes up is built of
  // fsimpl/pseudo.
  'sentry/fsimpl/*': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/platform/platform.ts',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/fsimpl/anon',
    'sentry/fsimpl/pseudo',
  ],
  // devtmpfs is a tmpfs that comes with nodes.
  'sentry/fsimpl/dev': [
    'spec',
    'sentry/base',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/fsimpl/tmpfs',
  ],
  'sentry/socket/*': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/fsimpl/anon',
    'sentry/socket/socket.ts',
  ],
  // What all families of sockets share.
  'sentry/socket': [
    'spec',
    'sentry/base',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/fsimpl/anon',
  ],
  // These hold host descriptors.
  'sentry/fsimpl/gofer': [
    'spec',
    'native',
    'sentry/base',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
  ],
  // A host terminal is bridged to an internal one.
  'sentry/fsimpl/host': [
    'spec',
    'native',
    'sentry/base',
    'sentry/platform/platform.ts',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/fsimpl/devpts',
  ],
  'sentry/syscalls': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/platform/platform.ts',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
    'sentry/loader',
    'sentry/fsimpl',
    'sentry/socket',
  ],
  'sentry/strace': [
    'spec',
    'sentry/base',
    'sentry/arch',
    'sentry/mm',
    'sentry/vfs',
    'sentry/kernel',
  ],
  'sentry/control': ['spec', 'native', 'sentry'],
  sentry: ['spec', 'native', 'sentry'],
  'gofer/server': ['spec'],
  gofer: ['spec', 'native', 'gofer'],
  // The CLI enters the other two programs in a forked child, by their main files and nothing else.
  runtime: [
    'spec',
    'native',
    'sentry/main.ts',
    'sentry/syscalls/table.ts',
    'gofer/main.ts',
    'shim/main.ts',
  ],
  shim: ['spec', 'native'],
  test: ['spec', 'native', 'sentry', 'gofer', 'runtime', 'shim'],
  // compatibility.ts makes a page out of the kernel's table and the tests' list.
  tools: ['spec', 'sentry/syscalls', 'test/known_differences.ts'],
};

/** Rooms of the kernel proper: `node:` is banned (the type check without Node's types says so too). */
const WITHOUT_NODE = [
  'spec',
  'sentry/base',
  'sentry/arch',
  'sentry/mm',
  'sentry/vfs',
  'sentry/kernel',
  'sentry/syscalls',
  'sentry/fsimpl',
  'sentry/socket',
  'sentry/loader',
  'sentry/strace',
];

const LINES_SOFT = 400;
const LINES_HARD = 500;
const FUNCTION_LINES = 80;

/** Files over the soft limit, each with its reason. A data table needs none: see `isTable`. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'spec/linux/errno.ts': 'a table',
  'spec/linux/syscall_numbers.ts': 'a table',
  'sentry/syscalls/table.ts': 'a table',
  'sentry/fsimpl/gofer/client.ts': 'one method a message of the protocol, each a few lines',
  'sentry/vfs/operations/operations.test.ts': 'one case after another of one contract',
  'sentry/socket/unix/unix_socket.test.ts': 'one case after another of one class',
};

interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '');

function read(path: string): Source {
  let text = '';
  try {
    text = readFileSync(join(ROOT, path), 'utf8');
  } catch {
    // Deleted in the working tree but still in the index.
  }
  return { path, text, lines: text.split('\n') };
}

/** Scenarios are programs that tests run in a process of their own. */
const isTest = (path: string) => /\.(test|scenario)\.ts$/.test(path) || path.startsWith('test/');
const sources = files.filter((path) => extname(path) === '.ts').map(read);

/** The room a file is in: the longest key of MAY_IMPORT that is a prefix; `*` stands for one folder. */
function roomOf(path: string): string | undefined {
  let best: string | undefined;
  for (const room of Object.keys(MAY_IMPORT)) {
    const prefix = room.endsWith('/*')
      ? path.startsWith(room.slice(0, -1)) && path.split('/').length > room.split('/').length
      : path.startsWith(`${room}/`);
    if (prefix && (best === undefined || room.replace('/*', '/').length > best.length)) best = room;
  }
  return best;
}

function inRoom(path: string, room: string): boolean {
  return room.endsWith('.ts') ? path === room : path.startsWith(`${room}/`);
}

/** For a `*` room, the folder that the file is in. */
function ownFolder(path: string, room: string): string {
  return room.endsWith('/*') ? path.split('/').slice(0, room.split('/').length).join('/') : room;
}

function importsOf(source: Source): { line: number; target: string }[] {
  const found: { line: number; target: string }[] = [];
  const pattern = /\b(?:from|import)\s*\(?\s*'([^']+)'/g;
  for (const match of source.text.matchAll(pattern)) {
    const line = source.text.slice(0, match.index).split('\n').length;
    found.push({ line, target: match[1]! });
  }
  return found;
}

describe('rooms', () => {
  test('every source file is in a room', () => {
    const strays = sources.filter((s) => s.path.includes('/') && roomOf(s.path) === undefined);
    expect(strays.map((s) => s.path)).toEqual([]);
  });

  test('imports go only where the table says', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      const room = roomOf(source.path);
      if (room === undefined || isTest(source.path)) continue;
      const allowed = [ownFolder(source.path, room), ...MAY_IMPORT[room]!];
      for (const { line, target } of importsOf(source)) {
        if (!target.startsWith('.')) continue;
        const resolved = normalize(join(dirname(source.path), target));
        if (!allowed.some((a) => inRoom(resolved, a))) {
          wrong.push(`${source.path}:${line} imports ${resolved}`);
        }
        if (resolved.endsWith('.test.ts')) wrong.push(`${source.path}:${line} imports a test`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('the kernel does not import node: or packages', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      if (isTest(source.path) || !WITHOUT_NODE.some((room) => inRoom(source.path, room))) continue;
      for (const { line, target } of importsOf(source)) {
        if (!target.startsWith('.')) wrong.push(`${source.path}:${line} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** Mostly one-line constants or entries: limits on length do not apply. */
function isTable(source: Source): boolean {
  const code = source.lines.filter((l) => !/^\s*(\/\/|\/?\*|$)/.test(l));
  const data = code.filter((l) =>
    /^(export const \w+(: \w+)? = |\s+(\[?['"\w]+\]?: |\{|\[|\]|\}|['"\d-]))/.test(l),
  );
  return data.length > code.length * 0.8;
}

describe('sizes', () => {
  test(`files have at most ${LINES_SOFT} lines, or a reason; never ${LINES_HARD}`, () => {
    const wrong = sources
      .filter((s) => s.lines.length > LINES_SOFT && !isTable(s))
      .filter((s) => s.lines.length > LINES_HARD || LONG_FILES[s.path] === undefined)
      .filter((s) => LONG_FILES[s.path] !== 'a table')
      .map((s) => `${s.path}: ${s.lines.length} lines`);
    expect(wrong).toEqual([]);
  });

  test(`functions have at most ${FUNCTION_LINES} lines`, () => {
    // The formatter indents, so a function ends at the first `}` in the column where it began.
    const wrong: string[] = [];
    const starts =
      /^( *)(?:export )?(?:function \w+|(?:static )?(?:get |set )?#?\w+(?:<.*>)?\(.*\).*\{$)/;
    for (const source of sources) {
      if (isTest(source.path)) continue;
      source.lines.forEach((line, index) => {
        const match = starts.exec(line);
        if (!match || /^\s*(if|for|while|switch|return|catch|describe|test)\b/.test(line)) return;
        const end = source.lines.indexOf(`${match[1]}}`, index + 1);
        if (end - index > FUNCTION_LINES) {
          wrong.push(`${source.path}:${index + 1}: ${end - index} lines: ${line.trim()}`);
        }
      });
    }
    expect(wrong).toEqual([]);
  });
});

describe('names and headers', () => {
  test('files and folders are snake_case', () => {
    const odd = files.filter(
      (path) =>
        /\.(ts|mjs|cc|c|h|S)$/.test(path) &&
        !path.split('/').every((part) => /^\.?[a-z0-9_]+(\.[a-z0-9_]+)*$/.test(part)),
    );
    expect(odd).toEqual([]);
  });

  test('nothing is called utils or helpers, and nothing is a barrel', () => {
    const odd = files.filter((path) => /(^|\/)(utils?|helpers?|misc|common)(\/|\.)/.test(path));
    const barrels = files.filter(
      (path) => basename(path) === 'index.ts' && path !== 'native/index.ts',
    );
    expect([...odd, ...barrels]).toEqual([]);
  });

  test('every file begins by saying what it is', () => {
    const bare = sources.filter((s) => s.text !== '' && !/^(#!.*\n)?\s*\/\*\*/.test(s.text));
    expect(bare.map((s) => s.path)).toEqual([]);
  });

  test('no default exports', () => {
    const wrong = sources.filter(
      (s) => s.path !== 'vitest.config.ts' && /^export default\b/m.test(s.text),
    );
    expect(wrong.map((s) => s.path)).toEqual([]);
  });
});

describe('what must not be committed', () => {
  test('no test is left alone, and a skipped one says why', () => {
    const wrong: string[] = [];
    for (const source of sources) {
      if (source.path === 'test/tidy.test.ts') continue;
      source.lines.forEach((line, index) => {
        const before = source.lines[index - 1] ?? '';
        if (/\b(it|test|describe)\.only\b/.test(line)) wrong.push(`${source.path}:${index + 1}`);
        if (
          /\b(it|test|describe)\.(skip|todo|skipIf)\b/.test(line) &&
          !/\/\/ \S/.test(before + line)
        )
          wrong.push(`${source.path}:${index + 1}: skipped without a comment`);
      });
    }
    expect(wrong).toEqual([]);
  });

  test('no path of one machine, no host of a registry', () => {
    const banned = [
      /(?<![\w.])\/work\/(main|shared|\.library)/,
      /\/root\/\.(pyenv|npm|cache)/,
      /\/home\/[a-z]+\//,
      /registry\.(npmjs|yarnpkg)/,
      /(deb|snapshot|security)\.debian\.org/,
      /proxy\.golang\.org|files\.pythonhosted/,
    ];
    const wrong: string[] = [];
    for (const path of files) {
      if (path === 'package-lock.json' || path === 'test/tidy.test.ts') continue;
      if (!/\.(ts|mjs|json|md|c|cc|h|S|sh|py)$|Makefile$|^\.ci\/run$/.test(path)) continue;
      for (const [index, line] of read(path).lines.entries()) {
        if (banned.some((pattern) => pattern.test(line))) wrong.push(`${path}:${index + 1}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('the lock file has every optional package, or npm ci refuses it', () => {
    interface Entry {
      readonly optionalDependencies?: Readonly<Record<string, string>>;
    }
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, Entry>;
    };
    const missing = Object.values(lock.packages)
      .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
      .filter((name) => lock.packages[`node_modules/${name}`] === undefined);
    expect(missing).toEqual([]);
  });
});
