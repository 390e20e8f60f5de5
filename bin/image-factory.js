#!/usr/bin/env node
// Plain JavaScript that old releases of Node.js understand too, so that they can say what is missing.
import v8 from 'node:v8';

const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 24 || (major === 24 && minor < 15) || major >= 27) {
  process.stderr.write(
    `image-factory needs Node.js 24.15 or newer, below 27; this is ${process.version} (${process.execPath}).\n` +
      'Install a supported release (https://nodejs.org/) and start it with that.\n',
  );
  process.exit(1);
}

// glibc keeps freed memory for each thread, and freed buffers between others; it is told so before a process starts
// or never (mallopt(3)). One place for small things, and a mapping of its own for each buffer, saves 100 MiB.
const { MALLOC_ARENA_MAX, MALLOC_MMAP_THRESHOLD_ } = process.env;
if (process.platform === 'linux' && MALLOC_ARENA_MAX === undefined && MALLOC_MMAP_THRESHOLD_ === undefined) {
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, {
    ...process.env,
    MALLOC_ARENA_MAX: '1',
    MALLOC_MMAP_THRESHOLD_: '65536',
  });
}

// A buffer is a small object on the heap and a large one beside it, which stays until the young generation is
// collected: that happens sooner when it is smaller than usual (16 MiB).
v8.setFlagsFromString('--max-semi-space-size=4');

import('../src/main.ts')
  .then((module) => module.main())
  .catch((error) => {
    process.stderr.write(`image-factory cannot start: ${error.stack || error}\n`);
    process.exit(1);
  });
