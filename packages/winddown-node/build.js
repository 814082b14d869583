// Compiles src/ twice: into dist/esm and into dist/cjs, each with its types.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('.', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
compile('--outDir', 'dist/esm');
compile(
  '--outDir',
  'dist/cjs',
  '--module',
  'commonjs',
  '--moduleResolution',
  'bundler',
  '--verbatimModuleSyntax',
  'false',
);
// The package has "type": "module".
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');

function compile(...options) {
  const { status } = spawnSync('npm', ['exec', '--no', '--', 'tsc', '--project', '.', ...options], { stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
