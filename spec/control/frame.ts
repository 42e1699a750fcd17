/**
 * Framing of the control protocol: a pure, synchronous codec that both sides share.
 *
 * A frame on the unix stream socket:
 *
 *     0        4                 4 + length
 *     +--------+----------------------+
 *     | u32le  | JSON, ASCII only     |
 *     | length | (other text escaped) |
 *     +--------+----------------------+
 *
 * Descriptors travel by SCM_RIGHTS with the frame's first byte. The JSON escapes everything above
 * U+007F, so one character is one byte and no UTF-8 codec is needed where Node is banned.
 * Whatever comes in is hostile: a frame that is too long or is not JSON ends the connection, it
 * never throws.
 */

/** Longest JSON text of one frame, bytes. */
export const MAX_FRAME_LENGTH = 4 * 1024 * 1024;
/** Most descriptors that one frame may carry (the kernel's SCM_MAX_FD). */
export const MAX_FRAME_FDS = 253;

const HEADER_LENGTH = 4;
const CHUNK_LENGTH = 8192;

/** The bytes of one frame, or null when the message is longer than a frame may be. */
export function encodeFrame(message: unknown): Uint8Array | null {
  const json = JSON.stringify(message).replace(/[\u0080-\uffff]/g, escapeCodeUnit);
  if (json.length > MAX_FRAME_LENGTH) return null;
  const frame = new Uint8Array(HEADER_LENGTH + json.length);
  frame[0] = json.length & 0xff;
  frame[1] = (json.length >>> 8) & 0xff;
  frame[2] = (json.length >>> 16) & 0xff;
  frame[3] = json.length >>> 24;
  for (let i = 0; i < json.length; i++) frame[HEADER_LENGTH + i] = json.charCodeAt(i);
  return frame;
}

function escapeCodeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * Collects received bytes and hands out whole messages. Once `error` is set the stream is out of
 * step and the connection must be closed.
 */
export class FrameReader {
  error = '';
  private buffer = new Uint8Array(CHUNK_LENGTH);
  private start = 0;
  private end = 0;

  /** Adds the first `length` bytes of `chunk` to what is waiting. */
  push(chunk: Uint8Array, length: number): void {
    if (this.error !== '') return;
    const waiting = this.end - this.start;
    if (this.end + length > this.buffer.length) {
      const larger = Math.max(this.buffer.length, 2 * (waiting + length));
      const into = waiting + length > this.buffer.length ? new Uint8Array(larger) : this.buffer;
      into.set(this.buffer.subarray(this.start, this.end), 0);
      this.buffer = into;
      this.start = 0;
      this.end = waiting;
    }
    this.buffer.set(chunk.subarray(0, length), this.end);
    this.end += length;
  }

  /** The next whole message, or undefined when it has not arrived yet (or `error` is set). */
  next(): unknown {
    if (this.error !== '' || this.end - this.start < HEADER_LENGTH) return undefined;
    const b = this.buffer;
    const at = this.start;
    const length =
      (b[at] ?? 0) +
      ((b[at + 1] ?? 0) << 8) +
      ((b[at + 2] ?? 0) << 16) +
      (b[at + 3] ?? 0) * 2 ** 24;
    if (length > MAX_FRAME_LENGTH) {
      this.error = `a frame of ${length} bytes is longer than ${MAX_FRAME_LENGTH}`;
      return undefined;
    }
    if (this.end - at < HEADER_LENGTH + length) return undefined;
    const json = asciiText(b, at + HEADER_LENGTH, at + HEADER_LENGTH + length);
    this.start = at + HEADER_LENGTH + length;
    if (this.start === this.end) this.release();
    try {
      const message: unknown = JSON.parse(json);
      if (message !== undefined) return message;
    } catch {
      // Reported below: JSON.parse has no other way to say so.
    }
    this.error = 'a frame does not hold JSON';
    return undefined;
  }

  /** Nothing is waiting: an idle connection keeps no large buffer. */
  private release(): void {
    this.start = 0;
    this.end = 0;
    if (this.buffer.length > CHUNK_LENGTH) this.buffer = new Uint8Array(CHUNK_LENGTH);
  }
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += CHUNK_LENGTH) {
    const chunk = bytes.subarray(at, Math.min(end, at + CHUNK_LENGTH));
    text += String.fromCharCode.apply(null, chunk as unknown as number[]);
  }
  return text;
}
