/**
 * What read(2), write(2) and their like moved, as /proc/PID/io shows it (Linux's task_io_accounting).
 */
export class IoAccounting {
  readChars = 0;
  writtenChars = 0;
  readCalls = 0;
  writeCalls = 0;

  add(other: IoAccounting): void {
    this.readChars += other.readChars;
    this.writtenChars += other.writtenChars;
    this.readCalls += other.readCalls;
    this.writeCalls += other.writeCalls;
  }
}
