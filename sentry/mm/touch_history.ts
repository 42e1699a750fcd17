/**
 * What a program's children touch of what they do not write. Between fork(2) and execve(2) a child runs
 * through few of a large program's mappings, and each costs the host as much to make as JavaScript takes to
 * copy it, and again to take away. So those that no child has touched so far are deferred (deferred.ts), and a
 * fault tells when a child does. That fault costs as much as ten mappings, hence what was touched once is
 * mapped from then on, and the first children of a program get everything.
 *
 * Shared by all that were forked from one program; execve(2) begins anew.
 */

/** A program that forks less often than that has nothing to gain. */
const FIRST_FORKS = 8;
/** Children that touch more than this get everything. */
const MOST_PAGES = 64;

export class TouchHistory {
  /** Addresses, in ascending order. */
  private readonly pages: number[] = [];
  private forks = 0;

  /** A child has touched `page` of what was deferred. */
  note(page: number): void {
    const { pages } = this;
    if (pages.length > MOST_PAGES) return;
    let index = pages.length;
    while (index > 0 && pages[index - 1]! > page) index--;
    if (pages[index - 1] !== page) pages.splice(index, 0, page);
  }

  /** To be called at each fork: what is likely to be touched, in ascending order; null for everything. */
  expected(): readonly number[] | null {
    this.forks++;
    return this.forks < FIRST_FORKS || this.pages.length > MOST_PAGES ? null : this.pages;
  }
}
