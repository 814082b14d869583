import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules/.bin', name);
/** A project that has the packed package, and links to the frameworks and types. */
let project;
let files;

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'winddown-node-'));
  // Without the build, which would take the files from the tests that run now.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', project];
  const [{ filename, files: packed }] = Object.values(JSON.parse((await run('npm', pack, { cwd: root })).stdout));
  files = packed.map(({ path }) => path);
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  await run('npm', ['install', '--offline', '--no-audit', '--ignore-scripts', join(project, filename)], { cwd: project });
  for (const name of ['@types', 'express', 'fastify', 'koa', 'ws']) {
    await symlink(join(root, 'node_modules', name), join(project, 'node_modules', name));
  }
  await cp(join(root, 'testing/fresh'), project, { recursive: true });
});
after(() => rm(project, { recursive: true, force: true }));

test('the package contains the two builds, README and package.json, and nothing else', async () => {
  const others = files.filter((path) => !/^dist\/(esm|cjs)\/[a-z]+(\.js|\.d\.ts)$/.test(path)).sort();
  assert.deepEqual(others, ['LICENSE', 'README.md', 'dist/cjs/package.json', 'package.json']);
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  assert.equal(manifest.dependencies, undefined);
  assert.match(manifest.version, /^\d+\.\d+\.\d+$/);
  const license = (path) => readFile(join(root, path, 'LICENSE'), 'utf8');
  assert.equal(await license('.'), await license('../..'));
});

for (const script of ['smoke.mjs', 'smoke.cjs']) {
  test(`${script} of a fresh project shuts down`, async () => {
    const { stdout } = await run(process.execPath, [script], { cwd: project });
    assert.equal(JSON.parse(stdout.trim().split('\n').at(-1)).exitCode, 0);
  });
}

for (const [module, moduleResolution] of [
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
]) {
  test(`strict TypeScript accepts the types of the package with module resolution ${moduleResolution}`, async () => {
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'es2022',
      '--types',
      'node',
      '--esModuleInterop',
    ];
    const args = [...options, '--module', module, '--moduleResolution', moduleResolution, 'types.ts'];
    await run(bin('tsc'), args, { cwd: project }).catch(({ stdout }) => assert.fail(stdout));
  });
}

test('strict TypeScript accepts require() of the package', async () => {
  await writeFile(
    join(project, 'common.cts'),
    "import winddown = require('winddown-node');\nwinddown.gracefulShutdown().health();\n",
  );
  const args = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--types',
    'node',
    '--module',
    'node16',
    'common.cts',
  ];
  await run(bin('tsc'), args, { cwd: project }).catch(({ stdout }) => assert.fail(stdout));
});

test('publint finds nothing', async () => {
  await run(bin('publint'), ['run', '--strict', '--pack', 'false'], {
    cwd: join(project, 'node_modules/winddown-node'),
  }).catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});

test('attw finds that each module system gets its types', async () => {
  const [tarball] = (await run('ls', [project])).stdout.split('\n').filter((name) => name.endsWith('.tgz'));
  await run(bin('attw'), [join(project, tarball), '--profile', 'node16', '--format', 'ascii'], { cwd: root }).catch(
    ({ stdout, stderr }) => assert.fail(stdout + stderr),
  );
});
