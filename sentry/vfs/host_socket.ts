/**
 * A unix(7) socket of the host, connected or bound for us by a gofer: what stands behind a socket of the
 * application. No operation waits: -EAGAIN, and the watcher is called when to try again.
 */
import type { IoBuffer } from '../mm/io_buffer.ts';

export abstract class HostSocket {
  /** `notify` gets POLL* whenever the state changes. One watcher. */
  abstract watch(notify: (events: number) => void): void;
  /** POLL*. */
  abstract poll(): number;
  /** Bytes sent, or -errno; a message goes whole or not at all. */
  abstract send(src: IoBuffer): number;
  /**
   * Bytes received, 0 at the end, or -errno. `flags` are MSG_PEEK and MSG_TRUNC; MSG_TRUNC and MSG_CTRUNC
   * are set in `into.flags`.
   */
  abstract receive(dst: IoBuffer, flags: number, into: { flags: number }): number;
  /** FIONREAD, as far as it can be told. */
  abstract waitingBytes(): number;
  abstract listen(backlog: number): number;
  abstract accept(): HostSocket | number;
  /** `how` is SHUT_*. */
  abstract shutdown(how: number): number;
  abstract close(): void;
}
