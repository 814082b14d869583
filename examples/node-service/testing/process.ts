import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

type Line = Record<string, unknown> & { event?: string; client?: string };

/** The service as a real process on a free loopback port, killed when the test `t` ends. */
export interface ServiceProcess {
  port: number;
  pid: number;
  lines: Line[];
  /** The first line with these values; waits for it. */
  line(values: Line): Promise<Line>;
  kill(signal: NodeJS.Signals): void;
  exit(): Promise<{ code: number | null; signal: string | null }>;
  /** Whether it runs still after `ms`. */
  outlives(ms: number): Promise<boolean>;
}

export async function start(
  t: TestContext,
  env: Record<string, string>,
  { script = 'server.ts', preload, until = { event: 'ready' } }: { script?: string; preload?: string; until?: Line } = {},
): Promise<ServiceProcess> {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(process.execPath, [...(preload ? ['--import', preload] : []), script], {
    cwd: root,
    env: { PATH: process.env['PATH'], PORT: '0', WORK_MS: '10', JOB_MS: '50', SHUTDOWN_WAIT_MS: '300', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));

  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  const lines: Line[] = [];
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const reader = createInterface(child.stdout);
  reader.on('line', (line) => lines.push(JSON.parse(line)));
  const drained = once(reader, 'close');

  const find = (values: Line) =>
    lines.find((line) => Object.entries(values).every(([key, value]) => line[key] === value));
  async function line(values: Line): Promise<Line> {
    for (;;) {
      const found = find(values);
      if (found) return found;
      const ended = await Promise.race([once(reader, 'line').then(() => false), drained.then(() => true)]);
      if (ended && !find(values)) {
        throw new Error(`ended without ${JSON.stringify(values)}: ${JSON.stringify(lines)} ${errors}`);
      }
    }
  }

  const { port } = await line({ event: 'listening' });
  await line(until);
  return {
    port: Number(port),
    pid: child.pid ?? 0,
    lines,
    line,
    kill: (signal) => child.kill(signal),
    async exit() {
      const exit = await exited;
      await drained;
      return exit;
    },
    async outlives(ms) {
      const timer = new Promise<boolean>((resolve) => setTimeout(resolve, ms, true));
      return await Promise.race([timer, exited.then(() => false)]);
    },
  };
}
