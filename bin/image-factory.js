#!/usr/bin/env node
// Plain JavaScript that old releases of Node.js understand too, so that they can say what is missing.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 24 || (major === 24 && minor < 15) || major >= 27) {
  process.stderr.write(
    `image-factory needs Node.js 24.15 or newer, below 27; this is ${process.version} (${process.execPath}).\n` +
      'Install a supported release (https://nodejs.org/) and start it with that.\n',
  );
  process.exit(1);
}

import('../src/main.ts')
  .then((module) => module.main())
  .catch((error) => {
    process.stderr.write(`image-factory cannot start: ${error.stack || error}\n`);
    process.exit(1);
  });
