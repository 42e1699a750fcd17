/**
 * The state directory: ROOT/ID/ holds state.json (replaced atomically), control.sock (the Sentry's)
 * and nothing else. Its existence claims the ID; flock(2) on the directory serialises commands that
 * change the container.
 */

import * as fs from 'node:fs';
import { codeOf, Failure, messageOf } from '../cli/failure.ts';
import { makeDirectories } from '../host/directories.ts';
import type { Host } from '../host/host.ts';
import { type ContainerState, checkId, parseState } from './state.ts';
import { requireTrusted } from './trusted_directory.ts';

export class Store {
  readonly root: string;
  private readonly host: Host;
  private trusted = false;

  constructor(root: string, host: Host) {
    this.root = root;
    this.host = host;
  }

  /** Before anything there is believed, or anything is put there. */
  private requireTrusted(): void {
    if (this.trusted) return;
    requireTrusted(this.root, '--root');
    this.trusted = true;
  }

  directoryOf(id: string): string {
    return `${this.root}/${id}`;
  }

  /** Makes the directory of a new container, locked. */
  claim(id: string): Lock {
    checkId(id);
    this.requireTrusted();
    const directory = this.directoryOf(id);
    try {
      makeDirectories(this.root, 0o711);
      fs.mkdirSync(directory, { mode: 0o700 });
    } catch (thrown) {
      if (codeOf(thrown) === 'EEXIST' && fs.existsSync(directory)) {
        throw new Failure(
          `container with id "${id}" exists already: choose another id or delete it first`,
        );
      }
      throw new Failure(`--root: cannot make ${directory}: ${messageOf(thrown)}`);
    }
    return this.lock(id);
  }

  /** Locks an existing container's directory until `release`. */
  lock(id: string): Lock {
    checkId(id);
    this.requireTrusted();
    const directory = this.directoryOf(id);
    for (;;) {
      let fd: number;
      try {
        fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      } catch {
        throw new Failure(missing(id));
      }
      const lock = new Lock(fd);
      const result = this.host.lockExclusive(fd);
      if (result < 0) {
        lock.release();
        throw new Failure(`cannot lock ${directory}: errno ${-result}`);
      }
      // The one who held the lock before us may have been `delete`.
      if (sameFile(fd, directory)) return lock;
      lock.release();
    }
  }

  /** Ids of all containers, also half-made ones. */
  list(): string[] {
    this.requireTrusted();
    try {
      return fs
        .readdirSync(this.root, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
        .sort();
    } catch {
      return [];
    }
  }

  /** The state, or null when the container is half-made or its state is damaged. */
  tryLoad(id: string): ContainerState | null {
    checkId(id);
    this.requireTrusted();
    let text: string;
    try {
      text = fs.readFileSync(`${this.directoryOf(id)}/state.json`, 'utf8');
    } catch (thrown) {
      if (!fs.existsSync(this.directoryOf(id))) throw new Failure(missing(id));
      if (codeOf(thrown) === 'ENOENT') return null;
      throw new Failure(`cannot read the state of container "${id}": ${messageOf(thrown)}`);
    }
    return parseState(text, id);
  }

  load(id: string): ContainerState {
    const state = this.tryLoad(id);
    if (state !== null) return state;
    throw new Failure(
      `container "${id}" is half-made or its state.json is damaged: run: runsc delete --force ${id}`,
    );
  }

  save(state: ContainerState): void {
    const file = `${this.directoryOf(state.id)}/state.json`;
    try {
      writeAtomically(file, JSON.stringify(state));
    } catch (thrown) {
      throw new Failure(`--root: cannot write ${file}: ${messageOf(thrown)}`);
    }
  }

  /** Removes the container's directory and, if it was the last one and empty, nothing more. */
  remove(id: string): void {
    checkId(id);
    fs.rmSync(this.directoryOf(id), { recursive: true, force: true });
  }
}

/** A held lock on a container's directory. */
export class Lock {
  private fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  release(): void {
    if (this.fd < 0) return;
    fs.closeSync(this.fd);
    this.fd = -1;
  }
}

/** Writes a file so that a reader sees the old or the new contents, never a part. */
export function writeAtomically(file: string, text: string): void {
  const temporary = `${file}.new.${process.pid}`;
  try {
    fs.writeFileSync(temporary, text, { mode: 0o600 });
    fs.renameSync(temporary, file);
  } catch (thrown) {
    fs.rmSync(temporary, { force: true });
    throw thrown;
  }
}

function sameFile(fd: number, path: string): boolean {
  const held = fs.fstatSync(fd);
  try {
    const named = fs.statSync(path);
    return held.ino === named.ino && held.dev === named.dev;
  } catch {
    return false;
  }
}

function missing(id: string): string {
  return `container "${id}" does not exist`;
}
