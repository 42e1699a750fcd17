/**
 * One command of the rehearsal (rehearse.mjs), performed by the bundle in this process:
 *
 *   rehearsal.mjs BUNDLE.cjs ADDON.node OUTPUT.json ARGUMENT...
 *
 * The forked children leave what they called in pages that they share with this process: their
 * descriptors are closed and their file trees are others. They leave by the addon's `exit`, and the
 * Gofer must get there: our killing it at the end is left out.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import inspector from 'node:inspector';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

const NAME = 'runsc.cjs';
const CHILDREN = 4;
const PAGES_LENGTH = 4 * 2 ** 20;
const LENGTH_BYTES = 4;
const SYS_KILL = 62;

const [bundle, addonPath, output, ...argv] = process.argv.slice(2);
const session = new inspector.Session();
const pages = [];
const children = [];
let self = -1;

/** [start, end] of every function this process has called. */
function called() {
  let functions = [];
  session.post('Profiler.takePreciseCoverage', (error, coverage) => {
    if (error) throw error;
    functions = coverage.result.find(({ url }) => url === NAME)?.functions ?? [];
  });
  return functions
    .map(({ ranges: [range] }) => range)
    .filter(({ count }) => count > 0)
    .map(({ startOffset, endOffset }) => [startOffset, endOffset]);
}

function observed(addon) {
  for (let i = 0; i < CHILDREN; i++) pages.push(Buffer.from(addon.mapPages(PAGES_LENGTH)));
  return {
    ...addon,
    fork() {
      const pid = addon.fork();
      if (pid === 0) self = children.length;
      children.push(pid);
      return pid;
    },
    exit(status) {
      if (self < 0) atExit();
      const text = JSON.stringify(called());
      const area = pages[self];
      if (area !== undefined) area.writeUInt32LE(area.write(text, LENGTH_BYTES), 0);
      return addon.exit(status);
    },
    syscall(number, ...args) {
      return number === SYS_KILL && children.includes(args[0]) ? 0 : addon.syscall(number, ...args);
    },
  };
}

function atExit() {
  const all = called();
  for (const area of pages) {
    const length = area.readUInt32LE(0);
    if (length > 0)
      all.push(...JSON.parse(area.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length)));
  }
  writeFileSync(output, JSON.stringify(all));
}

session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: false });
const dlopen = process.dlopen.bind(process);
process.dlopen = (module) => {
  dlopen(module, addonPath);
  module.exports = observed(module.exports);
};
process.argv = [process.execPath, 'runsc', ...argv];
process.on('exit', atExit);
const require = createRequire(import.meta.url);
const wrapped = `(function (require, module, exports) {${readFileSync(bundle, 'utf8')}\n})`;
const module = { exports: {} };
new Script(wrapped, { filename: NAME }).runInThisContext()(require, module, module.exports);
