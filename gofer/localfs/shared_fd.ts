/**
 * A descriptor with several owners.
 */
import * as fs from '../../native/fs.ts';

/** Fids of one file have it in common, and files that know their directory by it. */
export class SharedFd {
  readonly fd: number;
  private refs = 1;

  constructor(fd: number) {
    this.fd = fd;
  }

  acquire(): SharedFd {
    this.refs++;
    return this;
  }

  release(): void {
    if (--this.refs === 0) fs.close(this.fd);
  }
}
