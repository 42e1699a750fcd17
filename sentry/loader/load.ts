/**
 * Loading a program into an empty address space: ELF, its interpreter, scripts, the initial stack and
 * the vDSO (execve(2), elf(5), ld.so(8)).
 */
import {
  AT_BASE,
  AT_CLKTCK,
  AT_EGID,
  AT_ENTRY,
  AT_EUID,
  AT_FLAGS,
  AT_GID,
  AT_PAGESZ,
  AT_PHDR,
  AT_PHENT,
  AT_PHNUM,
  AT_SECURE,
  AT_SYSINFO_EHDR,
  AT_UID,
} from '../../spec/linux/elf.ts';
import { ELIBBAD, ELOOP } from '../../spec/linux/errno.ts';
import { ELF64_PHDR } from '../../spec/linux/layout/elf.ts';
import {
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_READ,
} from '../../spec/linux/mman.ts';
import { StringList } from '../base/string_list.ts';
import { IoBuffer } from '../mm/io_buffer.ts';
import type { Mappable } from '../mm/mappable.ts';
import type { MemoryManager } from '../mm/memory_manager.ts';
import { pageCeil } from '../mm/page.ts';
import { VM_DONTDUMP, VM_SPECIAL } from '../mm/vma.ts';
import { type ElfImage, type LoadedImage, mapImage, parseElf } from './elf.ts';
import { chooseLayout } from './layout.ts';
import { isScript, parseScript } from './script.ts';
import { buildStack, checkArguments } from './stack.ts';

/** An executable file, opened for reading and already checked for permission. */
export interface ProgramFile {
  /** Bytes read at `offset`, 0 at the end, or -errno. */
  pread(dst: IoBuffer, offset: number): number;
  mappable(): Mappable | number;
  /** What was understood of these very contents before, or null; set when it is. */
  image: ElfImage | null;
  /** Gives back the loader's reference. */
  close(): void;
}

export interface LoadRequest {
  readonly file: ProgramFile;
  /** As the caller named it (AT_EXECFN; what a script's interpreter is given). */
  readonly filename: string;
  readonly argv: StringList;
  readonly envp: StringList;
  /** Opens an interpreter (of a script or PT_INTERP) with execve's checks; -errno when it may not. */
  readonly open: (path: string) => ProgramFile | number;
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  /** AT_SECURE. */
  readonly secure: boolean;
  /** RLIMIT_STACK, bytes; Infinity for none. */
  readonly stackLimit: number;
  readonly random: (into: Uint8Array) => void;
  readonly vdso: VdsoPages | null;
  /** AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ and the like, each and its value, from the host's vector. */
  readonly hardware?: readonly number[];
}

/** The vDSO: its image and data page, mapped next to each other. */
export interface VdsoPages {
  readonly image: Mappable;
  readonly imageLength: number;
  readonly vvar: Mappable;
  readonly vvarLength: number;
}

export interface LoadedProgram {
  readonly entry: number;
  readonly stackPointer: number;
  /** comm: the base name of what was asked for, at most 15 bytes. */
  readonly name: string;
  /** The file that runs (for a script its interpreter): /proc/PID/exe. Not closed by the loader. */
  readonly executable: ProgramFile;
}

/** Interpreters in a row, scripts of scripts, that Linux allows. */
const MAX_DEPTH = 5;
const COMM_LENGTH = 15;
/** Read first of a file: a script's first line, or the headers of nearly every program. */
const HEAD_LENGTH = 1024;
/** Clock ticks per second for times(2). */
const USER_HZ = 100;

/** The program at the end of a chain of scripts. */
interface Resolved {
  readonly file: ProgramFile;
  readonly head: Uint8Array;
  readonly argv: StringList;
}

/**
 * Loads into `mm`, which is empty and not yet anybody's. -ENOEXEC, -E2BIG, -ENOENT, -ELOOP ...; the
 * caller then drops `mm`. In that case the request's file is closed too.
 */
export function loadProgram(mm: MemoryManager, request: LoadRequest): LoadedProgram | number {
  const resolved = resolveScripts(request);
  if (typeof resolved === 'number') return resolved;
  mm.beginBatch();
  const loaded = loadResolved(mm, request, resolved);
  const committed = mm.endBatch();
  if (typeof loaded !== 'number' && committed === 0) return loaded;
  resolved.file.close();
  return typeof loaded === 'number' ? loaded : committed;
}

const NOTHING = new Uint8Array(0);

/** The first bytes; none of a program that is understood already. */
function readHead(file: ProgramFile): Uint8Array | number {
  if (file.image !== null) return NOTHING;
  const bytes = new Uint8Array(HEAD_LENGTH);
  const buffer = IoBuffer.over(bytes);
  while (buffer.remaining > 0) {
    const n = file.pread(buffer, buffer.done);
    if (n < 0) return n;
    if (n === 0) break;
  }
  return bytes.subarray(0, buffer.done);
}

function understand(file: ProgramFile, head: Uint8Array): ElfImage | number {
  if (file.image !== null) return file.image;
  const image = parseElf(file, head);
  if (typeof image !== 'number') file.image = image;
  return image;
}

/** Follows "#!" lines. Closes every file but the last; on failure all. */
function resolveScripts(request: LoadRequest): Resolved | number {
  let { file, argv } = request;
  let name = request.filename;
  for (let depth = 0; ; depth++) {
    const head = readHead(file);
    if (typeof head === 'number' || !isScript(head)) {
      if (typeof head !== 'number') return { file, head, argv };
      file.close();
      return head;
    }
    const script = parseScript(head);
    file.close();
    if (typeof script === 'number') return script;
    if (depth >= MAX_DEPTH) return -ELOOP;
    const { interpreter, argument } = script;
    const rest = argv;
    argv = StringList.of(argument === null ? [interpreter, name] : [interpreter, argument, name]);
    argv.addRest(rest);
    name = interpreter;
    const opened = request.open(interpreter);
    if (typeof opened === 'number') return opened;
    file = opened;
  }
}

function loadResolved(
  mm: MemoryManager,
  request: LoadRequest,
  resolved: Resolved,
): LoadedProgram | number {
  const { file, head } = resolved;
  // A program without argv[0] would take its first environment string for it.
  const argv = resolved.argv.count > 0 ? resolved.argv : StringList.of(['']);
  const tooBig = checkArguments(request.filename, argv, request.envp, request.stackLimit);
  if (tooBig < 0) return tooBig;
  const image = understand(file, head);
  if (typeof image === 'number') return image;
  const layout = chooseLayout(mm.taskSize, request.stackLimit, request.random);
  mm.layout = layout;
  const base = image.interpreter === null ? 0 : layout.programBase;
  const program = mapImage(mm, file, image, base);
  if (typeof program === 'number') return program;
  mm.brkStart = pageCeil(program.end) + layout.brkGap;
  mm.brkEnd = mm.brkStart;
  mm.codeStart = program.codeStart;
  mm.codeEnd = program.codeEnd;
  mm.dataStart = program.dataStart;
  mm.dataEnd = program.dataEnd;

  const interpreter = mapInterpreter(mm, request, image);
  if (typeof interpreter === 'number') return interpreter;
  const vdso = request.vdso === null ? 0 : mapVdso(mm, request.vdso);
  if (vdso < 0) return vdso;
  const randomBytes = new Uint8Array(16);
  request.random(randomBytes);
  const stackPointer = buildStack(mm, layout.stackTop, image.executableStack, {
    filename: request.filename,
    argv,
    envp: request.envp,
    auxv: auxiliaryVector(request, image, program, interpreter?.bias ?? 0, vdso),
    randomBytes,
  });
  if (stackPointer < 0) return stackPointer;
  const name = request.filename.slice(request.filename.lastIndexOf('/') + 1);
  return {
    entry: interpreter?.entry ?? program.entry,
    stackPointer,
    name: name.slice(0, COMM_LENGTH),
    executable: file,
  };
}

/** Loads PT_INTERP if there is one. */
function mapInterpreter(
  mm: MemoryManager,
  request: LoadRequest,
  image: ElfImage,
): LoadedImage | null | number {
  if (image.interpreter === null) return null;
  const file = request.open(image.interpreter);
  if (typeof file === 'number') return file;
  const head = readHead(file);
  let mapped: LoadedImage | number;
  if (typeof head === 'number') {
    mapped = head;
  } else {
    const parsed = understand(file, head);
    // Linux's word for an interpreter that is no program itself.
    mapped = typeof parsed === 'number' ? -ELIBBAD : mapImage(mm, file, parsed, 0);
  }
  file.close();
  return mapped;
}

/** Maps the data page and right above it the image. The image's address, or -errno. */
function mapVdso(mm: MemoryManager, vdso: VdsoPages): number {
  const { vvarLength, imageLength } = vdso;
  const start = mm.findRoom(0, vvarLength + imageLength);
  if (start < 0) return start;
  const vvar = mm.mmap({
    addr: start,
    length: vvarLength,
    prot: PROT_READ,
    maxProt: PROT_READ,
    flags: MAP_SHARED | MAP_FIXED,
    file: vdso.vvar,
    offset: 0,
    vmFlags: VM_SPECIAL | VM_DONTDUMP,
  });
  if (vvar < 0) return vvar;
  return mm.mmap({
    addr: start + vvarLength,
    length: imageLength,
    prot: PROT_READ | PROT_EXEC,
    maxProt: PROT_READ | PROT_EXEC,
    flags: MAP_PRIVATE | MAP_FIXED,
    file: vdso.image,
    offset: 0,
    vmFlags: VM_SPECIAL,
  });
}

function auxiliaryVector(
  request: LoadRequest,
  image: ElfImage,
  program: LoadedImage,
  interpreterBase: number,
  vdso: number,
): number[] {
  const entries = vdso > 0 ? [AT_SYSINFO_EHDR, vdso] : [];
  if (request.hardware !== undefined) for (const word of request.hardware) entries.push(word);
  entries.push(AT_PAGESZ, PAGE_SIZE, AT_CLKTCK, USER_HZ);
  entries.push(AT_PHDR, program.headersAddress, AT_PHENT, ELF64_PHDR.size);
  entries.push(AT_PHNUM, image.headerCount, AT_BASE, interpreterBase, AT_FLAGS, 0);
  entries.push(AT_ENTRY, program.entry, AT_UID, request.uid, AT_EUID, request.euid);
  entries.push(AT_GID, request.gid, AT_EGID, request.egid, AT_SECURE, request.secure ? 1 : 0);
  return entries;
}
