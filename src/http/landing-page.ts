import { html } from './html.ts';
import { EXAMPLE_IMAGE } from './routes/image.ts';

/** `/`: what this is and where to go; works without scripts. */
export function landingPage(base: string, tag: string): string {
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Image Factory</title>
<link rel="icon" href="/favicon.ico">
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
  pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 0.25rem; }
</style>
</head>
<body>
<main>
<h1>Image Factory</h1>
<p>Bootable images of Talos Linux, built on demand from a <em>schematic</em>: the system extensions, kernel
arguments and other additions that go into them.</p>
<h2>How to get an image</h2>
<ol>
<li>Store a schematic: the answer has its id.
<pre><code>curl -X POST --data-binary @schematic.yaml ${base}/schematics</code></pre></li>
<li>Choose a version from <a href="/versions">/versions</a>.</li>
<li>Download; the first request for an image builds it.
<pre><code>curl -LO ${base}${EXAMPLE_IMAGE}</code></pre></li>
</ol>
<h2>Reference</h2>
<ul>
<li><a href="/openapi.json">The HTTP interface</a> (OpenAPI 3.1)</li>
<li><a href="/llms.txt">The same in prose</a></li>
</ul>
</main>
<footer><p><small>Image Factory ${tag}</small></p></footer>
</body>
</html>
`;
}
