/**
 * Fids and walking on one 9P connection: what every operation of the client stands on.
 */
import { EINVAL, EIO, EMFILE, ENOENT } from '../../../spec/linux/errno.ts';
import * as p9 from '../../../spec/p9/constants.ts';
import { decodeAttrs } from '../../../spec/p9/decoder.ts';
import type { P9Attr } from '../../../spec/p9/messages.ts';
import { type Channel, MAX_POSTED, type Ticket } from './channel.ts';

export interface Walked {
  /** The fid of the last component, or -1 when the walk stopped early. */
  readonly fid: number;
  /** Of the components reached (of the start itself when there were no names). */
  readonly attrs: readonly P9Attr[];
  /** Why it stopped: -errno, or 0. */
  readonly error: number;
  /** Where the symbolic link leads that it arrived at, if that is known; else empty. */
  readonly target: string;
}

export class Session {
  protected readonly channel: Channel;
  /** The server speaks our extensions. */
  protected readonly extended: boolean;
  /** Clunked numbers, oldest first. */
  private readonly freeFids: number[] = [];
  private nextFid = 0;
  /** Called when the server has no fids left: gives some back, but not `keep`. */
  makeRoom: ((keep: number) => void) | null = null;

  protected constructor(channel: Channel, extended: boolean) {
    this.channel = channel;
    this.extended = extended;
  }

  get isDead(): boolean {
    return this.channel.isDead;
  }

  /** `lost` is called when the server goes before `close`. */
  set lost(lost: () => void) {
    this.channel.lost = lost;
  }

  /** `slow` is called when the server does not answer a request, and with null when it does again. */
  set slow(slow: (request: string | null) => void) {
    this.channel.slow = slow;
  }

  close(): void {
    this.channel.lost = null;
    this.channel.die();
  }

  /** A number is bound again only when its Tclunk was surely answered: more followed than are ever
   * outstanding. A server may handle requests in any order. */
  protected newFid(): number {
    if (this.freeFids.length <= 2 * MAX_POSTED) return this.nextFid++;
    const [fid] = this.freeFids.splice(0, 1);
    return fid!;
  }

  /** Does `operation`, which works on `keep`; once more when the server had no fid left for it. */
  protected withRoom<T>(keep: number, operation: () => T | number): T | number {
    const r = operation();
    if (r !== -EMFILE || this.makeRoom === null) return r;
    this.makeRoom(keep);
    return operation();
  }

  /** Gives a number back that the server does not have bound. */
  protected unusedFid(fid: number): void {
    this.freeFids.push(fid);
  }

  /** Lets go of a fid; it leaves with the next request. */
  clunk(fid: number): void {
    if (fid < 0) return;
    this.channel.post('Tclunk', { fid });
    this.freeFids.push(fid);
  }

  /** The root of the tree. */
  attach(): { readonly fid: number; readonly attr: P9Attr } | number {
    const fid = this.newFid();
    const attach = { fid, afid: p9.NOFID, uname: '', aname: '', nUname: p9.NONUNAME };
    const a = this.channel.queue('Tattach', attach);
    const g = this.channel.queue('Tgetattr', { fid, mask: p9.GETATTR_ALL });
    const attached = this.channel.receive(a);
    const got = this.channel.receive(g);
    if (typeof attached === 'number') {
      this.unusedFid(fid);
      return attached;
    }
    if (typeof got !== 'number') return { fid, attr: got.attr };
    this.clunk(fid);
    return got;
  }

  /** Walks up to MAX_WALK_ELEMENTS names; -errno only when the request itself failed. */
  walkGetattr(from: number, names: readonly string[]): Walked | number {
    if (names.length > p9.MAX_WALK_ELEMENTS) return -EINVAL;
    return this.withRoom(from, () => {
      const w = this.extended ? this.walkExtended(from, names) : this.walkPlain(from, names);
      return typeof w !== 'number' && w.error === -EMFILE ? -EMFILE : w;
    });
  }

  private walkExtended(from: number, names: readonly string[]): Walked | number {
    const newfid = this.newFid();
    const ticket = this.channel.queue('Twalkgetattr', { fid: from, newfid, names });
    return this.walked(ticket, newfid, names);
  }

  /** The outcome of a Twalkgetattr. */
  protected walked(
    ticket: Ticket<'Twalkgetattr'>,
    newfid: number,
    names: readonly string[],
  ): Walked | number {
    const r = this.channel.receive(ticket);
    if (typeof r === 'number') {
      this.unusedFid(newfid);
      return r;
    }
    const expected = Math.max(names.length, 1);
    const { ecode } = r;
    const attrs = decodeAttrs(r.data);
    if (attrs !== null && ecode === 0 && attrs.length === expected) {
      return { fid: newfid, attrs, error: 0, target: r.target };
    }
    this.unusedFid(newfid);
    if (attrs === null || ecode === 0 || ecode > 4095 || attrs.length >= expected) {
      return this.broken();
    }
    return { fid: -1, attrs, error: -ecode, target: '' };
  }

  /** The server contradicts itself: nothing it says can be used any more. */
  protected broken(): number {
    this.channel.die();
    return -EIO;
  }

  private walkPlain(from: number, names: readonly string[]): Walked | number {
    const attrs: P9Attr[] = [];
    let at = from;
    for (const step of names.length === 0 ? [[]] : names.map((n) => [n])) {
      const newfid = this.newFid();
      const w = this.channel.queue('Twalk', { fid: at, newfid, names: step });
      const g = this.channel.queue('Tgetattr', { fid: newfid, mask: p9.GETATTR_ALL });
      const walked = this.channel.receive(w);
      const got = this.channel.receive(g);
      if (at !== from) this.clunk(at);
      const short = typeof walked !== 'number' && walked.qids.length !== step.length;
      if (typeof walked === 'number' || short) this.unusedFid(newfid);
      else if (typeof got === 'number') this.clunk(newfid);
      if (typeof walked === 'number') return { fid: -1, attrs, error: walked, target: '' };
      if (short) return { fid: -1, attrs, error: -ENOENT, target: '' };
      if (typeof got === 'number') return { fid: -1, attrs, error: got, target: '' };
      attrs.push(got.attr);
      at = newfid;
    }
    return { fid: at, attrs, error: 0, target: '' };
  }

  getattr(fid: number): P9Attr | number {
    const r = this.channel.call('Tgetattr', { fid, mask: p9.GETATTR_ALL });
    return typeof r === 'number' ? r : r.attr;
  }
}
