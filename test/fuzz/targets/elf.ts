/** The loader of programs and scripts, into a fake address space: parsing, mapping, the stack. */
import * as fs from 'node:fs';
import { StringList } from '../../../sentry/base/string_list.ts';
import type { ElfImage } from '../../../sentry/loader/elf.ts';
import { loadProgram, type ProgramFile } from '../../../sentry/loader/load.ts';
import { FakeFile, FakeHost } from '../../../sentry/mm/fake_space.ts';
import type { IoBuffer } from '../../../sentry/mm/io_buffer.ts';
import { ENOENT } from '../../../spec/linux/errno.ts';
import { must, type Target } from '../target.ts';

const MEMORY_BYTES = 1 << 20;
/** What our own node binary begins with: headers of every kind. */
const REAL_BYTES = 2048;

class Program implements ProgramFile {
  private readonly host: FakeHost;
  private readonly bytes: Uint8Array;
  private readonly fd: number;
  image: ElfImage | null = null;
  closed = 0;

  constructor(host: FakeHost, bytes: Uint8Array, fd: number) {
    this.host = host;
    this.bytes = bytes;
    this.fd = fd;
  }

  pread(dst: IoBuffer, offset: number): number {
    must(offset >= 0 && Number.isSafeInteger(offset), `pread at ${offset}`);
    return dst.write(this.bytes.subarray(offset, offset + dst.remaining));
  }

  mappable(): FakeFile {
    return new FakeFile(this.host, this.fd, this.bytes);
  }

  close(): void {
    this.closed++;
  }
}

/** A program of one segment. */
function tiny(type: number): Uint8Array {
  const bytes = new Uint8Array(0x200).fill(0x90, 120);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, 0x400078, true);
  view.setUint32(32, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 7, true);
  view.setUint32(80, 0x400000, true);
  view.setUint32(96, 0x200, true);
  view.setUint32(104, 0x3000, true);
  return bytes;
}

export class Elf implements Target {
  readonly name = 'elf';
  readonly tokens = [
    '#!',
    '/lib/ld.so\0',
    '\x01\0\0\0',
    '\x03\0\0\0',
    '\x51\xe5\x74\x64',
    '\x7fELF',
  ];

  seeds(): Uint8Array[] {
    const text = (s: string): Uint8Array => Uint8Array.from(Buffer.from(s, 'latin1'));
    const real = Uint8Array.from(fs.readFileSync(process.execPath).subarray(0, REAL_BYTES));
    return [tiny(2), tiny(3), real, text('#!/bin/x -a b\n'), text('#!/file\n'), text('#! \t/x')];
  }

  run(input: Uint8Array): void {
    const host = new FakeHost(MEMORY_BYTES);
    const mm = host.newManager();
    const programs: Program[] = [];
    const open = (path: string): Program | number => {
      if (path === '/missing') return -ENOENT;
      const program = new Program(
        host,
        path === '/lib/ld.so' ? tiny(3) : input,
        1000 + programs.length,
      );
      programs.push(program);
      return program;
    };
    const loaded = loadProgram(mm, {
      ...{
        file: open('/file') as Program,
        filename: '/file',
        argv: StringList.of(['name', 'one']),
        envp: StringList.of(['A=b']),
      },
      ...{ open, uid: 1, euid: 2, gid: 3, egid: 4, secure: false, stackLimit: 1 << 16 },
      ...{ random: (into: Uint8Array) => into.fill(0x5a), vdso: null },
    });
    const opened = programs.length - programs.reduce((sum, p) => sum + p.closed, 0);
    if (typeof loaded === 'number') {
      must(loaded < 0 && loaded > -4096, `an errno of ${loaded}`);
      must(opened === 0, `${opened} files were left open`);
    } else {
      must(opened === 1, `${opened} files are open after success`);
      must(loaded.stackPointer % 16 === 0, 'the stack is not aligned');
      // Wherever it is: the program's first instruction may well be a SIGSEGV.
      must(Number.isFinite(loaded.entry), `entry ${loaded.entry}`);
      mm.readU64(loaded.stackPointer);
      mm.readU8(loaded.entry);
    }
  }

  check(): void {}
  close(): void {}
}
