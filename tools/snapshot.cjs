/**
 * What runs while the executable is made: the bundle, whose modules all stay in the start-up snapshot,
 * and then the compiler, for the functions that the rehearsal has called (rehearse.mjs).
 * RUNSC_SOURCE and RUNSC_CALLED name the files: seal.mjs sets them.
 *
 * Nothing in JavaScript compiles a function without calling it, but the debugger does, to say where
 * it could be stopped.
 */
const { readFileSync } = require('node:fs');
const inspector = require('node:inspector');
const { Script } = require('node:vm');

const NAME = 'runsc.cjs';

/** As in rehearsal.mjs: the offsets are those of this text. */
const source = readFileSync(process.env.RUNSC_SOURCE, 'latin1');
const called = JSON.parse(readFileSync(process.env.RUNSC_CALLED, 'utf8'));

function compile() {
  const session = new inspector.Session();
  session.connect();
  let scriptId = '';
  session.on('Debugger.scriptParsed', ({ params }) => {
    if (params.url === NAME) scriptId = params.scriptId;
  });
  session.post('Debugger.enable');
  const lines = [0];
  for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) lines.push(at + 1);
  const location = (offset) => {
    let lineNumber = lines.findIndex((start) => start > offset) - 1;
    if (lineNumber < 0) lineNumber = lines.length - 1;
    return { scriptId, lineNumber, columnNumber: offset - lines[lineNumber] };
  };
  for (const [, end] of called) {
    const range = { start: location(end - 1), end: location(end), restrictToFunction: true };
    session.post('Debugger.getPossibleBreakpoints', range, (error) => {
      if (error) throw new Error(error.message);
    });
  }
  session.post('Debugger.disable');
  session.disconnect();
}

const main = { exports: {} };
new Script(source, { filename: NAME }).runInThisContext()(require, main, main.exports);
compile();
