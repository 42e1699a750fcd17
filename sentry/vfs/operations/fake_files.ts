/** For tests: a mount namespace over a given file system, a caller in it, and short names for calls. */
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } from '../../../spec/linux/fcntl.ts';
import type { Clock } from '../../base/clock.ts';
import { IoBuffer } from '../../mm/io_buffer.ts';
import { MemoryFile } from '../../mm/memory_file.ts';
import type { MemoryManager } from '../../mm/memory_manager.ts';
import type { FsCaller } from '../caller.ts';
import { ALL_CAPABILITIES, Credentials, NO_CAPABILITIES } from '../credentials.ts';
import { FsContext } from '../fs_context.ts';
import type { FileSystem } from '../inode.ts';
import { MountNamespace, type Path } from '../mount.ts';
import type { OpenFile } from '../open_file.ts';
import { Vfs } from '../vfs.ts';
import { makeDirectory } from './create.ts';
import { openFile } from './open.ts';

export const ROOT = Credentials.of(0, 0, [], ALL_CAPABILITIES);
export const USER = Credentials.of(1000, 1000, [], NO_CAPABILITIES);

/** A clock that moves a second at each look. */
export function fakeClock(): Clock {
  let sec = 1_000_000;
  return { monotonicNs: () => sec * 1e9, realtime: () => ({ sec: sec++, nsec: 5 }) };
}

/** A MemoryFile of plain memory. */
export function fakeMemory(bytes = 64 * 2 ** 20): MemoryFile {
  const buffer = new ArrayBuffer(bytes);
  const whole = new Uint8Array(buffer);
  return new MemoryFile(-1, buffer, {
    punch: (_fd, offset, length) => {
      whole.fill(0, offset, offset + length);
      return 0;
    },
    nextData: (_fd, offset) => offset,
    nextHole: () => bytes,
    write: (_fd, offset, from) => {
      whole.set(from, offset);
      return from.length;
    },
  });
}

export class FakeFiles {
  readonly vfs = new Vfs();
  readonly namespace: MountNamespace;
  readonly fs: FsContext;
  readonly signals: number[] = [];
  creds = ROOT;
  fileSizeLimit = Number.POSITIVE_INFINITY;

  constructor(root: FileSystem) {
    this.namespace = new MountNamespace(root, 'none', 0);
    const at = this.namespace.rootPath;
    this.fs = new FsContext(this.namespace, at, at, 0o022);
  }

  get caller(): FsCaller {
    const { creds, fs, fileSizeLimit, signals } = this;
    const raise = (signo: number): void => {
      signals.push(signo);
    };
    return { creds, fs, fileSizeLimit, raise, mm: null as unknown as MemoryManager };
  }

  lookup(path: string, follow = true): Path | number {
    return this.vfs.namei.lookup(this.caller, path, { follow });
  }

  /** The path of something that must be there. */
  at(path: string, follow = true): Path {
    const found = this.lookup(path, follow);
    if (typeof found === 'number') throw new Error(`${path}: ${found}`);
    return found;
  }

  mkdir(path: string, mode = 0o755): number {
    return makeDirectory(this.vfs, this.caller, undefined, path, mode);
  }

  tryOpen(path: string, flags = O_RDONLY, mode = 0o644): OpenFile | number {
    return openFile(this.vfs, this.caller, undefined, path, { flags, mode });
  }

  open(path: string, flags = O_RDONLY, mode = 0o644): OpenFile {
    const file = this.tryOpen(path, flags, mode);
    if (typeof file === 'number') throw new Error(`${path}: ${file}`);
    return file;
  }

  /** Makes a file with contents. */
  put(path: string, text: string, mode = 0o644): void {
    const file = this.open(path, O_RDWR | O_CREAT | O_EXCL, mode);
    this.write(file, text);
    file.close();
  }

  write(file: OpenFile, text: string): number {
    return file.write(this.caller, IoBuffer.over(Buffer.from(text, 'latin1')));
  }

  read(file: OpenFile, length = 65536): string | number {
    const bytes = new Uint8Array(length);
    const n = file.read(this.caller, IoBuffer.over(bytes));
    return n < 0 ? n : Buffer.from(bytes.subarray(0, n)).toString('latin1');
  }

  /** The contents of a file. */
  get(path: string): string | number {
    const file = this.tryOpen(path);
    if (typeof file === 'number') return file;
    const text = this.read(file);
    file.close();
    return text;
  }

  /** The names in a directory, sorted. */
  list(path: string): string[] {
    const names: string[] = [];
    const file = this.open(path);
    file.iterate((entry) => {
      names.push(entry.name);
      return true;
    });
    file.close();
    return names.sort();
  }
}
